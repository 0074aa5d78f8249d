import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { Command } from 'commander';
import { wholeNumber } from '../../cli/options.ts';
import { tableText } from '../../terminal/table.ts';
import { isKnown, type KnownEquivalent } from './equivalents.ts';
import { ImportGraph } from './nearby_tests.ts';
import { run, type Ended } from './run.ts';
import { sample, type Sampled, type Source } from './sample.ts';

interface Flags {
  readonly sample: number;
  readonly seed: number;
  readonly tests: number;
  readonly seconds: number;
  readonly gpu?: boolean;
  readonly quick?: boolean;
  readonly list?: boolean;
  readonly only?: string;
  readonly json?: boolean;
  readonly again?: string;
}

/** How a slip came out. */
type Outcome = 'noticed' | 'survived' | 'means nothing';

interface Verdict extends Sampled {
  readonly outcome: Outcome;
  /** What noticed it: the compiler, a test file, or the time that it took; else why it means nothing. */
  readonly by: string;
}

const program = new Command('npm run mutate --')
  .description(
    [
      'Changes random lines of the code by one plausible step each, in a copy of the tree, and counts how many of them',
      'the compiler or a test notices. Folders are strata, weighted by the square root of their lines. What means',
      'nothing is listed by hand in converter/bench/mutation/equivalents.json, with the reason.',
    ].join(' '),
  )
  .option('--sample <n>', 'lines', wholeNumber(1), 100)
  .option('--seed <n>', 'the same seed and tree give the same lines', wholeNumber(0), 1)
  .option(
    '--tests <n>',
    'test files that are run for a line, those that import its file by the fewest steps, and a quarter as many end to end',
    wholeNumber(1),
    12,
  )
  .option(
    '--seconds <n>',
    'longest run for a line: one that takes longer was noticed, as it hangs',
    wholeNumber(1),
    300,
  )
  .option('--gpu', 'where a line survives, run a quarter as many tests that need a GPU or a browser as well')
  .option('--quick', 'the nearest three alone: what survives may fall in others, which --again asks')
  .option('--list', 'print the lines and what becomes of them, and run nothing')
  .option('--only <path>', 'only lines of files whose path begins so')
  .option('--json', 'print one JSON text')
  .option('--again <report>', 'only lines that survived in a report that --json printed, of the same sample and seed')
  .addHelpText(
    'after',
    '\nExamples:\n  npm run mutate -- --sample 100 --seed 101 --gpu\n  npm run mutate -- --sample 10 --seed 3 --only ir/passes\n  npm run mutate -- --list --seed 101',
  )
  .action(main);

const SOURCE = /^(ir|backends|verify|converter)\/.*\.(ts|js)$/;
/** Code of tests and benchmarks, what is generated, and AssemblyScript, which vitest does not compile. */
const NOT_MUTATED =
  /\.test\.ts$|\.d\.ts$|\/testing\/|\/e2e\/|\/environment\/|\/bench\/|_pb\.ts$|\/generated\/|\/assembly\/|\/cli\/help\//;

/** Tests that need a GPU or a browser, and those that take minutes: their files say so (vitest.config.ts). */
const NEEDS_MORE = /\.(gpu|browser|f16)\.test\.ts$/;
const SLOW = /\.slow(_f16)?\.test\.ts$/;

/**
 * Tests for a file, in turns, the cheap ones first: the nearest three, as most slips end there; as many more as were
 * asked for; a quarter as many that go end to end; and of those that need a GPU. Never the slow ones, which would come
 * late and so seem to notice.
 */
function turns(graph: ImportGraph, path: string, { gpu, quick, tests }: Flags): readonly (readonly string[])[] {
  const near = graph.testsOf(path).filter((test) => !SLOW.test(test));
  const [needing, plain] = parted(near, (test) => NEEDS_MORE.test(test));
  const [endToEnd, unit] = parted(plain, (test) => test.startsWith('converter/e2e/'));
  if (quick) return [unit.slice(0, 3)];
  const few = Math.ceil(tests / 4);
  return [unit.slice(0, 3), unit.slice(3, tests), endToEnd.slice(0, few), gpu ? needing.slice(0, few) : []];
}

function parted<T>(items: readonly T[], belongs: (item: T) => boolean): readonly [T[], T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))];
}

async function main(flags: Flags): Promise<void> {
  const root = resolve(import.meta.dirname, '../../../..');
  const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
    .trim()
    .split('\n');
  const sources = tracked
    .filter((path) => SOURCE.test(path) && existsSync(join(root, path)))
    .map((path): Source => ({ path, text: readFileSync(join(root, path), 'utf8') }));
  const mutable = sources.filter(({ path }) => !NOT_MUTATED.test(path) && path.startsWith(flags.only ?? ''));
  const survived = flags.again === undefined ? undefined : survivorsOf(flags.again);
  const sampled = sample(mutable, flags.sample, flags.seed).filter((slip) => survived?.has(nameOf(slip)) ?? true);
  if (flags.list) return console.log(sampled.map((s) => `${s.path}:${s.line}  ${s.what}`).join('\n'));
  const tree = copyOf(root, tracked);
  // stopped midway it leaves no copy and no process: whatever ends this one runs what waits for its exit
  process.once('exit', () => rmSync(tree, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  const { ok, output } = await compile(tree, flags);
  if (!ok) throw new Error(`the tree does not compile as it stands, so every slip would be noticed:\n${output}`);
  const graph = new ImportGraph(sources);
  const verdicts: Verdict[] = [];
  for (const slip of sampled) {
    const verdict = {
      ...slip,
      ...(await judge(tree, slip, turns(graph, slip.path, flags), flags)),
    };
    verdicts.push(verdict);
    console.error(`${verdicts.length}/${sampled.length} ${nameOf(slip)}: ${verdict.outcome}, ${verdict.by}`);
  }
  console.log(flags.json ? JSON.stringify({ ...flags, verdicts }, null, 2) : report(verdicts, flags));
}

function nameOf({ path, line, what }: Sampled): string {
  return `${path}:${line} ${what}`;
}

function survivorsOf(report: string): ReadonlySet<string> {
  const { verdicts } = JSON.parse(readFileSync(report, 'utf8')) as { readonly verdicts: readonly Verdict[] };
  return new Set(verdicts.filter(({ outcome }) => outcome === 'survived').map(nameOf));
}

/** A copy of what git has or would take, with the packages and the build of the original. */
function copyOf(root: string, tracked: readonly string[]): string {
  const tree = mkdtempSync(join(tmpdir(), 'pgconv-mutate-'));
  for (const path of tracked) if (existsSync(join(root, path))) cpSync(join(root, path), join(tree, path));
  cpSync(join(root, 'dist'), join(tree, 'dist'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  execFileSync('git', ['init', '-q'], { cwd: tree });
  execFileSync('git', ['add', '-A'], { cwd: tree });
  return tree;
}

async function judge(
  tree: string,
  slip: Sampled,
  tests: readonly (readonly string[])[],
  { seconds }: Flags,
): Promise<Pick<Verdict, 'outcome' | 'by'>> {
  const file = join(tree, slip.path);
  const before = readFileSync(file, 'utf8');
  const known = isKnown(equivalents(), slip, before);
  if (known) return { outcome: 'means nothing', by: known.why };
  writeFileSync(file, before.slice(0, slip.start) + slip.text + before.slice(slip.end));
  try {
    for (const [turn, some] of tests.entries()) {
      if (some.length > 0) {
        const tested = await run(
          command(tree, 'vitest'),
          ['run', '--bail', '1', '--reporter', 'dot', ...some],
          tree,
          seconds,
        );
        if (tested.late) return { outcome: 'noticed', by: `it takes longer than ${seconds} s` };
        if (!tested.ok) return { outcome: 'noticed', by: failedIn(tested.output) ?? some.join(' ') };
      }
      // the compiler takes longer than the nearest tests, and less than the others
      if (turn > 0) continue;
      if (!(await compile(tree, { seconds })).ok) return { outcome: 'noticed', by: 'the compiler' };
    }
    const count = tests.flat().length;
    return { outcome: 'survived', by: count === 0 ? 'no test imports it' : `${count} test files` };
  } finally {
    writeFileSync(file, before);
  }
}

function command(tree: string, name: string): string {
  return join(tree, 'node_modules', '.bin', name);
}

/** It looks again at what a slip touches, and at no more. */
function compile(tree: string, { seconds }: Pick<Flags, 'seconds'>): Promise<Ended> {
  const args = ['-p', 'tsconfig.json', '--incremental', '--tsBuildInfoFile', 'mutate.tsbuildinfo'];
  return run(command(tree, 'tsc'), args, tree, seconds);
}

function equivalents(): readonly KnownEquivalent[] {
  const file = resolve(import.meta.dirname, '../../../../converter/bench/mutation/equivalents.json');
  return JSON.parse(readFileSync(file, 'utf8')) as readonly KnownEquivalent[];
}

function failedIn(output: string): string | undefined {
  return /FAIL\s+(?:\S+\s+)?(\S+\.test\.ts)/.exec(stripVTControlCharacters(output))?.[1];
}

function report(verdicts: readonly Verdict[], { seed }: Flags): string {
  const count = (outcome: Outcome) => verdicts.filter((verdict) => verdict.outcome === outcome).length;
  const meaningful = verdicts.length - count('means nothing');
  const survivors = verdicts.filter(({ outcome }) => outcome === 'survived');
  const score = meaningful === 0 ? 100 : (100 * count('noticed')) / meaningful;
  return [
    ...(survivors.length === 0
      ? []
      : [
          tableText(
            ['survivor', 'slip', 'tests'],
            survivors.map((s) => [`${s.path}:${s.line}`, s.what, s.by]),
          ),
        ]),
    `seed ${seed}: ${count('noticed')} of ${meaningful} noticed (${score.toFixed(0)} %), ${count('means nothing')} mean nothing`,
  ].join('\n');
}

await program.parseAsync();
