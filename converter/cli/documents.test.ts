import { CommanderError } from 'commander';
import { describe, expect, it, test } from 'vitest';
import {
  commandsOf,
  documents,
  readTree,
  shownCommands,
  treeFiles,
  type ShownCommand,
} from '../../verify/environment/markdown.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { textOf } from './io.ts';
import type { Io } from './io.ts';
import { commandLine } from './main.ts';

/* Commands of pgconv that documents and help texts show are held to commander's own definitions. */

const said: string[] = [];
const io: Io = {
  out: (text) => void said.push(textOf(text)),
  err: (text) => void said.push(textOf(text)),
  reporter: () => silentReporter,
  signal: new AbortController().signal,
};

/** Words behind `pgconv`, where the command is one of its own. */
function argumentsOf(words: readonly string[]): readonly string[] | undefined {
  const at = words.findIndex((word) => word === 'pgconv');
  const before = words.slice(0, Math.max(0, at)).filter((word) => !/^(?:npx|node|\/usr\/bin\/time|-v)$/.test(word));
  return at === -1 || before.length > 0 ? undefined : words.slice(at + 1);
}

/** Why commander does not take a whole command; undefined when it does. Nothing is run. */
function refusal(args: readonly string[]): string | undefined {
  const program = commandLine(io, { exitCode: 0 });
  for (const command of program.commands) command.action(() => {});
  try {
    program.parse([...args], { from: 'user' });
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined;
    return error instanceof Error ? error.message : String(error);
  }
}

/** What is unknown in a command that is spoken of: words in <>, [], … and alternatives may stand in it. */
function unknownParts(args: readonly string[]): readonly string[] {
  const [name, ...rest] = args.map((word) => word.replaceAll(/^\[|\]$/g, ''));
  const command = commandLine(io, { exitCode: 0 }).commands.find((own) => own.name() === name);
  if (!command) return name === undefined || /^[-<…]/.test(name) ? [] : [name];
  return rest.flatMap((word, i) => {
    if (!word.startsWith('-') || word === '--help') return [];
    const option = command.options.find(({ long, short }) => word === long || word === short);
    if (!option) return [word];
    const value = rest[i + 1];
    if (!option.argChoices || value === undefined || /[<…]/.test(value)) return [];
    return value.split('|').filter((choice) => !option.argChoices!.includes(choice));
  });
}

/** What is wrong with commands of pgconv. */
function wrong(commands: readonly ShownCommand[]): readonly string[] {
  return commands.flatMap(({ words, whole }) => {
    const args = argumentsOf(words);
    if (!args) return [];
    const problems = whole ? [refusal(args)] : unknownParts(args);
    return problems.flatMap((problem) => (problem === undefined ? [] : [`${words.join(' ')}: ${problem}`]));
  });
}

/** Examples of a help text, each a line of its own. */
function examples(text: string): readonly ShownCommand[] {
  return [...text.matchAll(/^ {2}(pgconv .*)$/gm)].flatMap(([, line]) =>
    commandsOf(line!).map((words) => ({ words, whole: true })),
  );
}

test.each(documents().map((document) => [document.path, document.text] as const))(
  '%s shows commands that there are',
  (_, text) => {
    expect(wrong(shownCommands(text))).toEqual([]);
  },
);

/** What --help prints. */
function helpOf(name: string): string {
  said.length = 0;
  const program = commandLine(io, { exitCode: 0 });
  (program.commands.find((own) => own.name() === name) ?? program).outputHelp();
  return said.join('\n');
}

describe('help', () => {
  const names = commandLine(io, { exitCode: 0 }).commands.map((command) => command.name());
  it.each(['pgconv', ...names])('of %s has examples of commands that there are', (name) => {
    const shown = examples(helpOf(name));
    expect(shown.length).toBeGreaterThan(1);
    expect(wrong(shown)).toEqual([]);
  });
});

/** Options of other programs that a hint names, by what is theirs: hf, cp, DeepSpeed, verl, mlx_vlm. */
const OTHERS = {
  '--revision': /hf download/,
  '--local-dir': /hf download/,
  '--remove-destination': /cp --/,
  '--safe': /zero_to_fp32/,
  '--tag': /deepspeed/,
  '--backend': /verl/,
  '--local': /verl/,
  '--hf-path': /mlx_vlm/,
  '--mlx-path': /mlx_vlm/,
  '--dequantize': /mlx_vlm/,
} as const;

it('options that messages name are those of a command, or of the program that is named beside', () => {
  const options = new Set(
    commandLine(io, { exitCode: 0 }).commands.flatMap((command) => command.options.map(({ long }) => long)),
  );
  const rooms =
    /^converter\/(?:bundle|checkpoints|compile|images|models|precision|report|samples|sidecars|synth|text(?!\/proto))\//;
  const sources = treeFiles().filter((path) => rooms.test(path) && !path.endsWith('.test.ts'));
  const named = sources.flatMap((path) =>
    // properties of style sheets are written alike
    [
      ...readTree(path)
        .replace(/var\(--[\w-]+|--[\w-]+:/g, '')
        .matchAll(/(?<![-\w])--[a-z][a-z-]+/g),
    ].map(([option]) => `${path}: ${option}`),
  );
  expect(named.length).toBeGreaterThan(20);
  const isOthers = (path: string, option: string) =>
    Object.hasOwn(OTHERS, option) && OTHERS[option as keyof typeof OTHERS].test(readTree(path));
  const unknown = named.filter((line) => {
    const [path, option] = line.split(': ') as [string, string];
    return !options.has(option) && !isOthers(path, option);
  });
  expect(unknown).toEqual([]);
});

it('finds what is wrong', () => {
  const text = [
    '```sh',
    'npx pgconv convert x --to onnx --dtype fp16 && npx pgconv verify y --device cpu',
    'npx pgconv convert x --to onnx',
    'npx pgconv convert x --to onyx --dtype fp16',
    'npx pgconv run x --image a.png --prompt "a # b" --tempo 2',
    'npx pgconv verify x y',
    '```',
    '`pgconv inspect <bundle>` `pgconv inspekt` `pgconv convert … --to tfjs|wasm [--profile std|packed]`',
    '`pgconv quality <checkpoint> --bogus` `pgconv`',
  ].join('\n');
  expect(wrong(shownCommands(text)).map((problem) => problem.replace(/^.*?: (?:error: )?/, ''))).toEqual([
    expect.stringContaining('--dtype'),
    expect.stringContaining('onyx'),
    expect.stringContaining('--tempo'),
    expect.stringContaining('too many arguments'),
    'inspekt',
    'wasm',
    '--bogus',
  ]);
});
