import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listFiles } from '../bundle/check_bundle.ts';

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url));

/**
 * Runs the command line in a process of its own and reads the peak of its resident memory from the kernel while it
 * lives. @throws Error when it ends with a code that is none of `codes`
 */
export async function pgconv(
  args: readonly string[],
  codes: readonly number[] = [0],
): Promise<{ readonly seconds: number; readonly peakBytes: number; readonly out: string }> {
  const started = performance.now();
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, errors] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  let peakBytes = 0;
  const timer = setInterval(
    () => void peakOf(child.pid).then((bytes) => (peakBytes = Math.max(peakBytes, bytes))),
    100,
  );
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  clearInterval(timer);
  if (code === null || !codes.includes(code)) throw new Error(`pgconv ${args.join(' ')} ended with ${code}\n${errors}`);
  return { seconds: (performance.now() - started) / 1000, peakBytes, out };
}

/** VmHWM never falls, so the last reading before the end is the peak. 0 where there is no /proc. */
async function peakOf(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** Bytes of all files below a folder. */
export async function sizeOf(dir: string): Promise<number> {
  const sizes = await Promise.all((await listFiles(dir)).map(async (path) => (await stat(join(dir, path))).size));
  return sizes.reduce((a, b) => a + b, 0);
}
