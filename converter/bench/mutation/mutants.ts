import { parseSync } from 'rolldown/experimental';

/** One plausible slip: the text from `start` to `end` becomes `text`. */
export interface Mutant {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Such as `< → <=`. */
  readonly what: string;
}

/** A node of an ESTree, as the parser gives it. */
interface TreeNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** What people mix up, by the operator that stands there. */
const OPERATORS: Readonly<Record<string, readonly string[]>> = {
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '<': ['<=', '>'],
  '<=': ['<', '>='],
  '>': ['>=', '<'],
  '>=': ['>', '<='],
  '===': ['!=='],
  '!==': ['==='],
  '&&': ['||'],
  '||': ['&&'],
  '&': ['|'],
  '|': ['&'],
  '<<': ['>>'],
  '>>': ['<<'],
  '>>>': ['<<'],
  '+=': ['-='],
  '-=': ['+='],
  '*=': ['+='],
  '||=': ['&&='],
  '&&=': ['||='],
};

const METHODS: Readonly<Record<string, string>> = {
  min: 'max',
  max: 'min',
  floor: 'ceil',
  ceil: 'floor',
  some: 'every',
  every: 'some',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  indexOf: 'lastIndexOf',
  lastIndexOf: 'indexOf',
  find: 'findLast',
  allSettled: 'all',
};

/** Plausible slips in code that begins on a line (from 1) of a TypeScript or JavaScript file. */
export function mutantsOf(path: string, source: string, line: number): readonly Mutant[] {
  const { program } = parseSync(path, source, {});
  const [from, to] = lineRange(source, line);
  const found: Mutant[] = [];
  visit(program as unknown as TreeNode, (node) => {
    if (node.end <= from || node.start >= to) return false;
    if (isTypeOnly(node) || isMessage(node)) return false;
    found.push(...slips(node, source));
    return true;
  });
  return found.filter(({ start }) => start >= from && start < to);
}

/** Offsets of a line without its end. */
function lineRange(source: string, line: number): readonly [number, number] {
  let from = 0;
  for (let n = 1; n < line; n++) from = source.indexOf('\n', from) + 1;
  const end = source.indexOf('\n', from);
  return [from, end < 0 ? source.length : end];
}

function isTypeOnly({ type, importKind, declare }: TreeNode): boolean {
  return (
    (type.startsWith('TS') && !['TSNonNullExpression', 'TSAsExpression', 'TSSatisfiesExpression'].includes(type)) ||
    type === 'ImportDeclaration' ||
    importKind === 'type' ||
    declare === true
  );
}

/** What an error says is for people: another word in it is no fault of arithmetic. */
function isMessage({ type, callee }: TreeNode): boolean {
  const name = (callee as TreeNode | undefined)?.['name'];
  return type === 'NewExpression' && typeof name === 'string' && name.endsWith('Error');
}

function slips(node: TreeNode, source: string): readonly Mutant[] {
  const textOf = (part: unknown) => source.slice((part as TreeNode).start, (part as TreeNode).end);
  const whole = (text: string, what: string): Mutant => ({ start: node.start, end: node.end, text, what });
  switch (node.type) {
    case 'BinaryExpression':
    case 'LogicalExpression':
    case 'AssignmentExpression':
      return operatorSlips(node, source);
    case 'UnaryExpression':
      return node['operator'] === '!' || node['operator'] === '-'
        ? [whole(textOf(node['argument']), `without ${node['operator']}`)]
        : [];
    case 'UpdateExpression': {
      const operator = String(node['operator']);
      const other = operator === '++' ? '--' : '++';
      return [whole(source.slice(node.start, node.end).replace(operator, other), `${operator} → ${other}`)];
    }
    case 'Literal':
      return literalSlips(node, source);
    case 'AwaitExpression':
      return [whole(textOf(node['argument']), 'without await')];
    case 'ConditionalExpression': {
      const [test, yes, no] = [node['test'], node['consequent'], node['alternate']].map(textOf);
      return [whole(`${test} ? ${no} : ${yes}`, 'branches exchanged')];
    }
    case 'IfStatement': {
      const test = node['test'] as TreeNode;
      return ['true', 'false'].map((text) => ({ start: test.start, end: test.end, text, what: `if (${text})` }));
    }
    case 'CallExpression':
      return callSlips(node, source);
    case 'ExpressionStatement':
      return (node['expression'] as TreeNode).type === 'CallExpression' ? [whole(';', 'statement dropped')] : [];
    case 'SpreadElement':
      return [];
    default:
      return [];
  }
}

function operatorSlips(node: TreeNode, source: string): readonly Mutant[] {
  const operator = String(node['operator']);
  const [left, right] = [node['left'] as TreeNode, node['right'] as TreeNode];
  const at = source.indexOf(operator, left.end);
  if (at < 0 || at >= right.start) return [];
  return (OPERATORS[operator] ?? []).map((text) => ({
    start: at,
    end: at + operator.length,
    text,
    what: `${operator} → ${text}`,
  }));
}

function literalSlips({ start, end, value, bigint }: TreeNode, source: string): readonly Mutant[] {
  const slip = (text: string): Mutant => ({ start, end, text, what: `${source.slice(start, end)} → ${text}` });
  if (bigint !== undefined && bigint !== null) return [];
  if (typeof value === 'boolean') return [slip(String(!value))];
  if (typeof value === 'number') return [slip(String(value + 1)), ...(value > 0 ? [slip(String(value - 1))] : [])];
  return [];
}

function callSlips(node: TreeNode, source: string): readonly Mutant[] {
  const callee = node['callee'] as TreeNode;
  const args = node['arguments'] as readonly TreeNode[];
  const found: Mutant[] = [];
  const property = callee['property'] as TreeNode | undefined;
  const name = property && source.slice(property.start, property.end);
  const other = name === undefined || !Object.hasOwn(METHODS, name) ? undefined : METHODS[name]!;
  if (property && other !== undefined)
    found.push({ start: property.start, end: property.end, text: other, what: `${name} → ${other}` });
  const [first, second] = args;
  if (args.length === 2 && first!.type === second!.type && first!.type !== 'SpreadElement') {
    const [a, b] = [source.slice(first!.start, first!.end), source.slice(second!.start, second!.end)];
    if (a !== b)
      found.push({
        start: first!.start,
        end: second!.end,
        text: `${b}${source.slice(first!.end, second!.start)}${a}`,
        what: 'arguments exchanged',
      });
  }
  return found;
}

/** Nodes in order, parents first; a node whose visitor says no is left with all that is in it. */
function visit(node: TreeNode, visitor: (node: TreeNode) => boolean): void {
  if (!visitor(node)) return;
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? (value as readonly unknown[]) : [value])
      if (isNode(child)) visit(child, visitor);
}

function isNode(value: unknown): value is TreeNode {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}
