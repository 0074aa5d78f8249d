import { dirname, posix } from 'node:path';
import { parseAst } from 'rolldown/parseAst';
import { readTree } from './markdown.ts';

/*
 * What an entry of the package exports, written from declarations and docstrings: docs/api.md has it between comments.
 * `UPDATE_GOLDEN=1 npx vitest run verify/environment/api_page.test.ts` writes it anew.
 */

type Statement = ReturnType<typeof parseAst>['body'][number];
type Declaration = NonNullable<Extract<Statement, { type: 'ExportNamedDeclaration' }>['declaration']>;
type Interface = Extract<Declaration, { type: 'TSInterfaceDeclaration' }>;
type Class = Extract<Declaration, { superClass: unknown }>;

interface Found {
  readonly path: string;
  readonly text: string;
  readonly declaration: Declaration;
  /** Above the declaration, without its stars. */
  readonly doc: string;
}

interface Member {
  /** Where it is declared. */
  readonly path: string;
  readonly name: string;
  /** As it is declared, without its body. */
  readonly signature: string;
  readonly doc: string;
}

interface Module {
  readonly text: string;
  readonly body: readonly Statement[];
}

const modules = new Map<string, Module>();

function moduleAt(path: string): Module {
  const known = modules.get(path);
  if (known) return known;
  const text = readTree(path);
  const module = { text, body: parseAst(text, { lang: 'ts' }).body };
  modules.set(path, module);
  return module;
}

/** Names that a module exports from elsewhere or declares, in order. */
export function exportedNames(path: string): readonly string[] {
  return moduleAt(path).body.flatMap((statement) => {
    if (statement.type !== 'ExportNamedDeclaration') return [];
    return statement.specifiers.flatMap(({ exported }) => (exported.type === 'Identifier' ? [exported.name] : []));
  });
}

/** Where a name of a module is declared; undefined for what is no declaration of this tree. */
function find(path: string, name: string): Found | undefined {
  const { text, body } = moduleAt(path);
  for (const statement of body) {
    if (statement.type === 'ImportDeclaration' || (statement.type === 'ExportNamedDeclaration' && statement.source)) {
      const source = statement.source!.value;
      if (!source.startsWith('.')) continue;
      for (const specifier of statement.specifiers) {
        if (specifier.type !== 'ImportSpecifier' && specifier.type !== 'ExportSpecifier') continue;
        const [here, there] =
          specifier.type === 'ImportSpecifier'
            ? [specifier.local, specifier.imported]
            : [specifier.exported, specifier.local];
        if (here.type !== 'Identifier' || here.name !== name || there.type !== 'Identifier') continue;
        return find(posix.normalize(posix.join(dirname(path), source)), there.name);
      }
      continue;
    }
    const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
    if (declaration && 'id' in declaration && declaration.id?.type === 'Identifier' && declaration.id.name === name)
      return { path, text, declaration: declaration as Declaration, doc: docBefore(text, statement.start) };
  }
  return undefined;
}

/** The docstring that ends right before an offset, as one paragraph. */
function docBefore(text: string, at: number): string {
  const comment = /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*$/.exec(text.slice(0, at))?.[1] ?? '';
  return comment
    .replaceAll(/^\s*\*? ?/gm, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\s*@throws ([^.]*\w)\.?/g, ' Throws $1.')
    .replaceAll(/\s*@param (\w+)/g, ' `$1`:')
    .trim();
}

/** Public members, inherited ones first. */
function membersOf({ path, text, declaration }: Found): readonly Member[] {
  if (declaration.type === 'TSInterfaceDeclaration') return interfaceMembers(path, text, declaration);
  if (declaration.type === 'ClassDeclaration') return classMembers(path, text, declaration);
  if (declaration.type !== 'TSTypeAliasDeclaration') return [];
  const type = declaration.typeAnnotation;
  if (type.type !== 'TSTypeReference' || type.typeName.type !== 'Identifier') return [];
  const given = (type.typeArguments?.params ?? []).map(({ start, end }) => text.slice(start, end));
  const target = find(path, type.typeName.name);
  return target ? substituted(membersOf(target), target, given) : [];
}

function interfaceMembers(path: string, text: string, { body, extends: bases }: Interface): readonly Member[] {
  const inherited = bases.flatMap(({ expression, typeArguments }): readonly Member[] => {
    if (expression.type !== 'Identifier') return [];
    const given = (typeArguments?.params ?? []).map(({ start, end }) => text.slice(start, end));
    if (expression.name === 'Omit') {
      const base = find(path, given[0]!.replace(/<.*/, ''));
      return base ? membersOf(base).filter(({ name }) => !given[1]!.includes(`'${name}'`)) : [];
    }
    const base = find(path, expression.name);
    return base ? substituted(membersOf(base), base, given) : [];
  });
  const own = body.body.flatMap((member): readonly Member[] => {
    if (member.type !== 'TSPropertySignature' && member.type !== 'TSMethodSignature') return [];
    const { key, start, end } = member;
    if (key.type !== 'Identifier') return [];
    return [{ path, name: key.name, signature: oneLine(text.slice(start, end)), doc: docBefore(text, start) }];
  });
  return [...inherited.filter(({ name }) => !own.some((member) => member.name === name)), ...own];
}

function classMembers(path: string, text: string, { body, superClass, superTypeArguments }: Class): readonly Member[] {
  const base = superClass?.type === 'Identifier' ? find(path, superClass.name) : undefined;
  const given = (superTypeArguments?.params ?? []).map(({ start, end }) => text.slice(start, end));
  const own = body.body.flatMap((member): readonly Member[] => {
    if (member.type !== 'MethodDefinition' && member.type !== 'PropertyDefinition') return [];
    const { key, accessibility, start, end } = member;
    if (key.type !== 'Identifier' || ['constructor', 'name'].includes(key.name)) return [];
    if (accessibility && accessibility !== 'public') return [];
    const bodyAt = member.type === 'MethodDefinition' ? (member.value.body?.start ?? end) : end;
    return [{ path, name: key.name, signature: oneLine(text.slice(start, bodyAt)), doc: docBefore(text, start) }];
  });
  const inherited = base ? substituted(membersOf(base), base, given) : [];
  return [...inherited.filter(({ name }) => !own.some((member) => member.name === name)), ...own];
}

/** Members of a generic declaration with what its parameters are, or default to. */
function substituted(members: readonly Member[], { text, declaration }: Found, given: readonly string[]) {
  const parameters =
    'typeParameters' in declaration && declaration.typeParameters ? declaration.typeParameters.params : [];
  const values = parameters.map((parameter, i) => {
    const { default: usual } = parameter;
    return [
      parameter.name.name,
      given[i] ?? (usual ? text.slice(usual.start, usual.end) : parameter.name.name),
    ] as const;
  });
  return members.map((member) => ({
    ...member,
    signature: values.reduce(
      (signature, [name, value]) => signature.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), value),
      member.signature,
    ),
  }));
}

function oneLine(text: string): string {
  return text
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/([([<]) |,? (?=[)\]>](?! ))/g, '$1')
    .replaceAll(/^readonly |^async |;$|\breadonly (?=\w+\??:)/g, '')
    .replaceAll(/^async \*|^\*/g, '')
    .trim();
}

/** A section for each exported name, and for each type that those mention and that is not exported itself. */
export function apiOf(path: string): string {
  const names = exportedNames(path);
  const exported = names.map((name) => find(path, name)!);
  const declarations = new Set(exported.map(({ declaration }) => declaration));
  const mentioned = new Map<string, Found>();
  for (const found of exported)
    for (const member of membersOf(found))
      for (const [name] of member.signature.matchAll(/\b[A-Z]\w+/g)) {
        const type = find(member.path, name);
        if (type && !declarations.has(type.declaration) && !names.includes(name)) mentioned.set(name, type);
      }
  const sections = [
    ...names.map((name, i) => sectionOf(name, exported[i]!, names)),
    ...[...mentioned].map(([name, found]) => sectionOf(`${name}, which is not exported`, found, names)),
  ];
  return sections.join('\n\n');
}

function sectionOf(heading: string, found: Found, exported: readonly string[]): string {
  const members = membersOf(found).map(({ signature, doc }) => {
    // options that only one runtime has are in the options that it exports
    const shown = signature
      .replaceAll(/ & Partial<\w+>/g, '')
      .replaceAll(/\b(\w+)<ImageFeatures>/g, (whole, type: string) => (exported.includes(type) ? type : whole));
    return `- \`${shown}\`${doc && `: ${doc}`}`;
  });
  return [`### ${heading}`, ...statement(found.declaration, found.text), found.doc, members.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** A function by its signature, a type that has no members by its text. */
function statement(declaration: Declaration, text: string): readonly string[] {
  if (declaration.type === 'FunctionDeclaration')
    return [`\`${oneLine(text.slice(declaration.id!.start, declaration.body!.start))}\``];
  if (declaration.type !== 'TSTypeAliasDeclaration') return [];
  const { start, end, type } = declaration.typeAnnotation;
  return type === 'TSTypeReference' ? [] : [`\`${oneLine(text.slice(start, end)).replace(/^\| /, '')}\``];
}
