import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../cli.js', import.meta.url));

/** How a process of the command line ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** A process of the command line, and how it ends. */
export function startCli(args: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const started = performance.now();
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<Ended>((resolve, reject) =>
    child
      .on('error', reject)
      .on('close', (code, signal) =>
        resolve({ code, signal, stdout, stderr, seconds: (performance.now() - started) / 1000 }),
      ),
  );
  return { child, ended };
}

/** The same to its end. */
export function runCli(args: readonly string[]): Promise<Ended> {
  return startCli(args).ended;
}

/** The command that a promise is broken with, without the output. */
export const convertArgs = (checkpoint: string, out: string, more: readonly string[] = []) => [
  ...['convert', checkpoint, '--to', 'onnx', '--dtype', 'fp32', '--no-verify', '--out', out],
  ...more,
];

export const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
