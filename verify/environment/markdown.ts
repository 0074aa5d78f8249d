import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/* What tests read of the documents of this tree. */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface MarkdownDocument {
  /** From the root of the tree. */
  readonly path: string;
  readonly text: string;
}

/** Every file of the tree that git knows, or would add. */
export function treeFiles(): readonly string[] {
  const found = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return found.split('\n').filter((path) => path !== '');
}

/** Text of a file of the tree. */
export function readTree(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8');
}

/** Every Markdown file of the tree. */
export function documents(): readonly MarkdownDocument[] {
  return treeFiles()
    .filter((path) => path.endsWith('.md'))
    .map((path) => ({ path, text: readTree(path) }));
}

/** Blocks between fences, with what follows the first: `sh`, `ts ir/ops/gather.ts`. */
export function codeBlocks(text: string): readonly { readonly info: string; readonly code: string }[] {
  return [...text.matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(([, info, code]) => ({ info: info!.trim(), code: code! }));
}

/** The same text without its code blocks. */
export function prose(text: string): string {
  return text.replaceAll(/^```.*\n[^]*?^```$/gm, '');
}

/** What stands between backticks in a line or over its end. */
export function inlineCode(text: string): readonly string[] {
  return [...prose(text).matchAll(/`([^`]+)`/g)].map(([, code]) => code!.replaceAll(/\s+/g, ' ').trim());
}

/** Targets of links and pictures. */
export function links(text: string): readonly string[] {
  const visible = prose(text).replaceAll(/`[^`\n]*`/g, '');
  return [...visible.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}

/** Anchors of the headings, as GitHub makes them. */
export function anchors(text: string): readonly string[] {
  const seen = new Map<string, number>();
  return [...prose(text).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading]) => {
    const slug = heading!
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

/** Rows of tables, cells trimmed, in order; lines of dashes are left out. */
export function tableRows(text: string): readonly (readonly string[])[] {
  return [...prose(text).matchAll(/^\|(.+)\|$/gm)]
    .map(([, row]) => row!.split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .filter((cells) => !cells.every((cell) => /^:?-+:?$/.test(cell)));
}

/** A section, from its heading to the next of its level or above. */
export function section(text: string, heading: string): string {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ +/, '') === heading);
  if (first === -1) return '';
  const level = /^#+/.exec(lines[first]!)![0].length;
  const rest = lines.slice(first + 1).findIndex((line) => new RegExp(`^#{1,${level}} `).test(line));
  return lines.slice(first, rest === -1 ? undefined : first + 1 + rest).join('\n');
}

/** A command in a document. */
export interface ShownCommand {
  /** Its words, quotes and a line that goes on resolved; variables before it left out. */
  readonly words: readonly string[];
  /** Whether it stands there to be copied, rather than to be spoken of. */
  readonly whole: boolean;
}

/** Commands in blocks of sh, which are whole, and in inline code, where `<x>`, `[x]`, `a|b` and `…` may stand. */
export function shownCommands(text: string): readonly ShownCommand[] {
  const blocks = codeBlocks(text).filter(({ info }) => info === 'sh');
  return [
    ...blocks.flatMap(({ code }) => code.replaceAll('\\\n', ' ').split('\n')).map((line) => ({ line, whole: true })),
    ...inlineCode(text).map((line) => ({ line, whole: false })),
  ].flatMap(({ line, whole }) => commandsOf(line).map((words) => ({ words, whole })));
}

/** The commands that a line of shell runs. */
export function commandsOf(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]];
  for (const [token] of line.matchAll(/&&|\|\||;|(?:'[^']*'|"[^"]*"|[^\s'";])+/g)) {
    if (token === '#') break;
    if (token === '&&' || token === '||' || token === ';') commands.push([]);
    else commands.at(-1)!.push(token.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'));
  }
  return commands
    .map((words) => words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word))))
    .filter((words) => words.length > 0);
}
