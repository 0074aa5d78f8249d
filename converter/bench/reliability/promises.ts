import { spawnSync } from 'node:child_process';
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { checkBundle, listFiles } from '../../bundle/check_bundle.ts';
import { SILENT_MS } from '../../bundle/lock.ts';
import { exists } from '../../bundle/output_folder.ts';
import { EXIT } from '../../errors.ts';
import { convertArgs, runCli, startCli, wait, type Ended } from './run_cli.ts';

/** What became of one promise. */
export interface Outcome {
  readonly promise: string;
  readonly what: string;
  readonly tried: number;
  readonly violations: readonly string[];
  /** What was measured beside. */
  readonly measured: string;
}

export interface PromiseOptions {
  readonly dir: string;
  readonly runs: number;
  readonly log: (line: string) => void;
}

const FIXTURE = fileURLToPath(new URL('../../../../fixtures/pg1-tiny/hf', import.meta.url));
/** Of a file of weights that is gone on with, a kill may cost so much. */
const REDONE_BYTES = 256e6;
/** P5. */
const INTERRUPT_SECONDS = 2;

/**
 * The sha256 of a bundle's manifest, which names those of all its files; undefined where there is nothing.
 * @throws what checkBundle throws
 */
async function bundleAt(out: string): Promise<string | undefined> {
  if (!(await stat(out).catch(() => undefined))) return undefined;
  return (await checkBundle(out)).manifest.sha256;
}

const told = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** P1: killed at any point, the output is absent, the old bundle or the new one. */
export async function killed({ dir, runs, log }: PromiseOptions): Promise<Outcome> {
  const out = join(dir, 'killed');
  const args = convertArgs(FIXTURE, out, ['--force']);
  const { seconds } = await runCli(args);
  const whole = await bundleAt(out);
  const violations: string[] = [];
  const seen = new Map<string, number>();
  for (let i = 0; i < runs; i++) {
    if (i % 2 === 0) await rm(out, { recursive: true, force: true });
    const { child, ended } = startCli(args);
    await wait(((i * 0.618) % 1) * seconds * 1100);
    child.kill('SIGKILL');
    await ended;
    try {
      const now = await bundleAt(out);
      seen.set(now === undefined ? 'absent' : 'whole', (seen.get(now === undefined ? 'absent' : 'whole') ?? 0) + 1);
      if (now !== undefined && now !== whole) violations.push(`kill ${i}: another bundle`);
    } catch (error) {
      violations.push(`kill ${i}: ${told(error)}`);
    }
    if (i % 50 === 49) log(`killed ${i + 1} times`);
  }
  await runCli(args);
  const left = (await readdir(dir)).filter((name) => name.includes('killed') && name !== 'killed');
  if (left.length > 0) violations.push(`the next run leaves ${left.join(', ')}`);
  const states = [...seen].map(([state, count]) => `${state} ${count}`).join(', ');
  return { promise: 'P1', what: 'SIGKILL of convert', tried: runs, violations, measured: states };
}

/** P2: a run that goes on writes the bytes of one that was not stopped, and 256 MB again at most for each stop. */
export async function resumed({ dir, runs, log }: PromiseOptions): Promise<Outcome> {
  const checkpoint = join(dir, 'resumed-checkpoint');
  await runCli([
    ...['synth', '--variant', 'paligemma-3b-224', '--format', 'hf', '--dtype', 'bf16', '--out', checkpoint],
    ...['--layers', '1', '--vision-layers', '1'],
  ]);
  const out = join(dir, 'resumed');
  const args = convertArgs(checkpoint, out);
  const { seconds } = await runCli(args);
  const whole = await bundleAt(out);
  const violations: string[] = [];
  let [stops, most, bytes] = [0, 0, 0];
  for (let turn = 0; stops < runs; turn++) {
    await rm(out, { recursive: true, force: true });
    for (let stop = 0; ; stop++) {
      const { child, ended } = startCli(args);
      const timer = setTimeout(
        () => child.kill('SIGKILL'),
        (0.3 + 0.6 * ((turn * 0.618 + stop * 0.381) % 1)) * seconds * 1000,
      );
      const run = await ended;
      clearTimeout(timer);
      if (run.code === EXIT.done) break;
      if (run.signal !== 'SIGKILL') {
        violations.push(`stop ${stops}: ended with ${run.code}: ${run.stderr.slice(-200)}`);
        break;
      }
      stops++;
      const staged = await stagedBytes(dir, 'resumed');
      const { flushed } = staged;
      most = Math.max(most, staged.bytes - flushed);
      if (staged.bytes - flushed > REDONE_BYTES)
        violations.push(`stop ${stops}: ${staged.bytes - flushed} bytes again`);
      // it was killed behind the last step: all is in place
      if (await exists(out)) break;
    }
    const now = await bundleAt(out);
    bytes = (await Promise.all((await listFiles(out)).map(async (file) => (await stat(join(out, file))).size))).reduce(
      (a, b) => a + b,
    );
    if (now !== whole) violations.push(`turn ${turn}: other bytes`);
    log(`stopped ${stops} times`);
  }
  await rm(out, { recursive: true, force: true });
  await rm(checkpoint, { recursive: true, force: true });
  const measured = `a bundle of ${(bytes / 1e9).toFixed(1)} GB; at most ${(most / 1e6).toFixed(0)} MB again`;
  return { promise: 'P2', what: 'SIGKILL, then the same command', tried: stops, violations, measured };
}

/** Bytes in the files of a staging folder, and those that its journal knows. */
async function stagedBytes(dir: string, name: string): Promise<{ bytes: number; flushed: number }> {
  const staging = (await readdir(dir)).find((entry) => entry.startsWith(`.${name}.pgconv-new-`));
  if (staging === undefined) return { bytes: 0, flushed: 0 };
  const bundle = join(dir, staging, 'bundle');
  const lines = (await readFile(join(dir, staging, 'journal'), 'utf8').catch(() => '')).split('\n').slice(1, -1);
  const last = new Map(
    lines.map((line) => JSON.parse(line) as { file: string; bytes: number }).map(({ file, bytes }) => [file, bytes]),
  );
  let bytes = 0;
  for (const file of await listFiles(bundle).catch(() => [])) bytes += (await stat(join(bundle, file))).size;
  return { bytes, flushed: [...last.values()].reduce((a, b) => a + b, 0) };
}

/** P5: Ctrl-C ends any command in two seconds. */
export async function interrupted({ dir, runs }: PromiseOptions): Promise<Outcome> {
  const out = join(dir, 'interrupted');
  const bundle = join(dir, 'interrupted-bundle');
  await runCli(convertArgs(FIXTURE, bundle));
  const commands: readonly (readonly string[])[] = [
    ['convert', FIXTURE, '--to', 'onnx', '--dtype', 'fp32', '--out', out, '--force'],
    ['convert', FIXTURE, '--to', 'tfjs', '--dtype', 'int4', '--out', out, '--force'],
    ['verify', bundle, '--against', FIXTURE],
    ['inspect', FIXTURE, '--tensors'],
    ['quality', FIXTURE, '--limit', '2', '--dtypes', 'fp32,fp16'],
  ];
  const violations: string[] = [];
  let most = 0;
  let ends = 0;
  for (const args of commands) {
    const { seconds } = await runCli(args);
    for (let i = 0; i < runs / commands.length; i++) {
      const { child, ended } = startCli(args);
      await wait(200 + ((i * 0.618) % 1) * seconds * 1000);
      const sent = performance.now();
      if (child.exitCode !== null) continue;
      child.kill('SIGINT');
      const { code, signal } = await ended;
      const took = (performance.now() - sent) / 1000;
      ends++;
      most = Math.max(most, took);
      const right = code === EXIT.interrupted || signal === 'SIGINT' || code === EXIT.done;
      if (!right || took > INTERRUPT_SECONDS)
        violations.push(`${args[0]}: ${code ?? signal} after ${took.toFixed(1)} s`);
    }
  }
  for (const path of [out, bundle]) await rm(path, { recursive: true, force: true });
  return { promise: 'P5', what: 'SIGINT', tried: ends, violations, measured: `at most ${most.toFixed(2)} s` };
}

/** P6: of two runs on one output one wins, and the other is told who has it. */
export async function raced({ dir, runs }: PromiseOptions): Promise<Outcome> {
  const violations: string[] = [];
  let locked = 0;
  for (let i = 0; i < runs; i++) {
    const out = join(dir, 'raced');
    const args = convertArgs(FIXTURE, out, i % 2 === 0 ? [] : ['--force']);
    const first = startCli(args);
    await wait((i % 5) * 100);
    const [a, b] = await Promise.all([first.ended, runCli(args)]);
    const lost = [a, b].filter(({ code }) => code !== EXIT.done);
    // with --force a run that begins when the other is done replaces what that wrote
    const right = lost.length === 1 || (lost.length === 0 && i % 2 === 1 && Math.max(a.seconds, b.seconds) > 0);
    if (!right || lost.some(({ code, stderr }) => code !== EXIT.cannotWrite || !/^(locked|exists)/m.test(stderr)))
      violations.push(`race ${i}: ${a.code} and ${b.code}: ${lost[0]?.stderr.slice(-200)}`);
    locked += lost.filter(({ stderr }) =>
      /another run is writing the same output \(process \d+ on/.test(stderr),
    ).length;
    await bundleAt(out).catch((error: unknown) => violations.push(`race ${i}: ${told(error)}`));
    await rm(out, { recursive: true, force: true });
  }
  return {
    promise: 'P6',
    what: 'two runs on one output',
    tried: runs,
    violations,
    measured: `locked ${locked}, else there already`,
  };
}

/** P6: a run that was suspended until its lock was taken stops, and removes nothing. */
export async function suspended({ dir, runs }: PromiseOptions): Promise<Outcome> {
  const out = join(dir, 'suspended');
  const args = convertArgs(FIXTURE, out, ['--force']);
  const { seconds } = await runCli(args);
  const whole = await bundleAt(out);
  const violations: string[] = [];
  let taken = 0;
  for (let i = 0; i < runs; i++) {
    await rm(out, { recursive: true, force: true });
    const { child, ended } = startCli(args);
    const lock = join(dir, '.suspended.pgconv-lock');
    while (child.exitCode === null && !(await stat(lock).catch(() => undefined))) await wait(5);
    await wait(((i * 0.618) % 1) * seconds * 500);
    child.kill('SIGSTOP');
    const old = new Date(Date.now() - SILENT_MS - 60_000);
    await utimes(lock, old, old).catch(() => {});
    const second = await runCli(args);
    child.kill('SIGCONT');
    const first: Ended = await ended;
    if (first.code === EXIT.cannotWrite) taken++;
    // it may have been done before it was stopped
    if (second.code !== EXIT.done || ![EXIT.cannotWrite, EXIT.done].some((code) => code === first.code))
      violations.push(
        `${i}: ${first.code} and ${second.code}: ${first.stderr.slice(-200)}${second.stderr.slice(-200)}`,
      );
    const now = await bundleAt(out).catch(told);
    if (now !== whole) violations.push(`${i}: ${now ?? 'nothing is there'}`);
  }
  await rm(out, { recursive: true, force: true });
  return {
    promise: 'P6',
    what: 'SIGSTOP, the lock taken, SIGCONT',
    tried: runs,
    violations,
    measured: `${taken} lost their lock`,
  };
}

/** P3: on a disk of any size a run is done, or is a typed error that leaves the disk as it was. */
export async function full({ dir, runs }: PromiseOptions): Promise<Outcome> {
  const sized = join(dir, 'full-bundle');
  const args = convertArgs(FIXTURE, sized);
  await runCli(args);
  let bytes = 0;
  for (const file of await listFiles(sized)) bytes += Math.ceil((await stat(join(sized, file))).size / 4096) * 4096;
  await rm(sized, { recursive: true, force: true });
  const violations: string[] = [];
  let smallest = Infinity;
  for (let i = 0; i < runs; i++) {
    // from half of what is needed to a tenth more, closest where it matters
    const size = Math.round(bytes * (i % 2 === 0 ? 0.5 + (0.6 * i) / runs : 0.98 + (0.06 * i) / runs));
    const script = `mount -t tmpfs -o size=${Math.ceil(size / 4096) * 4}k tmpfs "$1" && shift && exec "$@"; echo`;
    const disk = join(dir, 'disk');
    spawnSync('mkdir', ['-p', disk]);
    const run = spawnSync(
      'unshare',
      [
        '-rm',
        'sh',
        '-c',
        script,
        'sh',
        disk,
        'sh',
        '-c',
        `"$@"; code=$?; ls -A ${JSON.stringify(disk)} >&2; exit $code`,
        'sh',
        process.execPath,
        ...cliArgs(join(disk, 'out')),
      ],
      { encoding: 'utf8' },
    );
    const names = run.stderr.trim().split('\n').at(-1);
    if (run.status === EXIT.done) smallest = Math.min(smallest, size);
    else if (run.status !== EXIT.cannotWrite || !run.stderr.includes('disk_full') || names?.includes('pgconv'))
      violations.push(`${size} bytes: ${run.status}: ${run.stderr.slice(-300)}`);
  }
  const share = ((smallest / bytes - 1) * 100).toFixed(1);
  if (Math.abs(smallest / bytes - 1) > 0.05)
    violations.push(`the smallest disk that does has ${share} % more than the bundle`);
  return {
    promise: 'P3',
    what: 'disks of other sizes',
    tried: runs,
    violations,
    measured: `the smallest that does: ${share} % over the bundle`,
  };
}

const cliArgs = (out: string) => [
  fileURLToPath(new URL('../../cli.js', import.meta.url)),
  ...convertArgs(FIXTURE, out),
];
