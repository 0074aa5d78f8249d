import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pgconv, sizeOf } from './child.ts';

/** One conversion beside the copies that it is measured against. */
export interface Measurement {
  readonly format: 'hf' | 'npz';
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Wall time of `pgconv convert --no-verify`, flushes to disk included. */
  readonly convertSeconds: number;
  /** Wall times of `cp` of the input and of the output, each flushed to disk by `sync`. */
  readonly copyInputSeconds: number;
  readonly copyOutputSeconds: number;
  /** convert ÷ (copy of the input + copy of the output). */
  readonly ratio: number;
  /** Peak resident memory of the process that converts. */
  readonly peakBytes: number;
}

/**
 * Converts a synthetic checkpoint `runs` times, each time between a copy of its input and a copy of its output on the
 * same disk, so that the ratio holds when the machine's speed drifts. Nothing else should run meanwhile.
 */
export async function measureConversion(
  dir: string,
  format: 'hf' | 'npz',
  variant: string,
  runs: number,
  layers: number | undefined,
  log: (line: string) => void,
): Promise<Measurement[]> {
  const [input, output, copy] = [join(dir, `${format}-checkpoint`), join(dir, `${format}-bundle`), join(dir, 'copy')];
  await rm(input, { recursive: true, force: true });
  await pgconv([
    'synth',
    '--variant',
    variant,
    '--format',
    format,
    '--dtype',
    'bf16',
    '--out',
    input,
    ...(layers === undefined ? [] : ['--layers', String(layers)]),
  ]);
  const measured: Measurement[] = [];
  try {
    for (let run = 0; run < runs; run++) {
      const copyInputSeconds = await timeCopy(input, copy);
      await rm(output, { recursive: true, force: true });
      const { seconds: convertSeconds, peakBytes } = await pgconv([
        'convert',
        input,
        '--to',
        'onnx',
        '--dtype',
        'fp16',
        '--out',
        output,
        '--no-verify',
      ]);
      const copyOutputSeconds = await timeCopy(output, copy);
      const ratio = convertSeconds / (copyInputSeconds + copyOutputSeconds);
      const measurement = {
        format,
        inputBytes: await sizeOf(input),
        outputBytes: await sizeOf(output),
        convertSeconds,
        copyInputSeconds,
        copyOutputSeconds,
        ratio,
        peakBytes,
      };
      measured.push(measurement);
      log(
        `${format}, run ${run + 1} of ${runs}: convert ${convertSeconds.toFixed(1)} s, copies ${copyInputSeconds.toFixed(1)} + ${copyOutputSeconds.toFixed(1)} s, ratio ${ratio.toFixed(2)}, peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
      );
    }
  } finally {
    for (const path of [input, output, copy]) await rm(path, { recursive: true, force: true });
  }
  return measured;
}

async function timeCopy(from: string, to: string): Promise<number> {
  await rm(to, { recursive: true, force: true });
  const started = performance.now();
  await promisify(execFile)('sh', ['-c', 'cp -r --reflink=never "$0" "$1" && sync -f "$1"', from, to]);
  const seconds = (performance.now() - started) / 1000;
  await rm(to, { recursive: true, force: true });
  return seconds;
}
