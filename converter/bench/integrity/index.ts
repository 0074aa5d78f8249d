import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { bytesText } from '../../../backends/bytes_text.ts';
import { wholeNumber } from '../../cli/options.ts';
import { tableText } from '../../terminal/table.ts';
import { pgconv, sizeOf } from '../child.ts';
import { fetchInChromium } from './in_chromium.ts';
import { LOADS } from './loads.ts';

/*
 * npm run bench:integrity: what it costs to hold files to manifest.json as they load. Bundles of a checkpoint of real
 * widths are loaded in turn without the check and with it, from the page cache, where nothing hides what hashing takes.
 */

interface Flags {
  readonly runs: number;
  readonly dtype: string;
}

await new Command('npm run bench:integrity --')
  .description('Loads bundles without and with the check of their files, and prints how many times as long it takes.')
  .option('--runs <n>', 'of each, in turn; the best counts', wholeNumber(1), 5)
  .option('--dtype <name>', 'of the bundles', 'int4')
  .action(main)
  .parseAsync();

async function main({ runs, dtype }: Flags): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'pgconv-integrity-'));
  const rows: string[][] = [];
  const row = (name: string, bytes: number, without: readonly number[], checked: readonly number[]) => {
    // other processes only ever slow one down
    const [plain, held] = [Math.min(...without), Math.min(...checked)];
    rows.push([name, bytesText(bytes), plain.toFixed(0), held.toFixed(0), plain < 1 ? '' : (held / plain).toFixed(2)]);
  };
  try {
    const checkpoint = join(root, 'checkpoint');
    const shape = ['--variant', 'paligemma-3b-224', '--format', 'hf', '--dtype', 'bf16'];
    await pgconv(['synth', ...shape, '--layers', '1', '--vision-layers', '1', '--out', checkpoint]);
    for (const backend of ['onnx', 'tfjs', 'wgsl'] as const) {
      const dir = join(root, backend);
      const how = ['--dtype', dtype, '--algorithm', 'rtn', '--mixed', 'none', '--calibrate', 'none', '--no-verify'];
      const profile = backend === 'tfjs' ? ['--profile', 'packed'] : [];
      await pgconv(['convert', checkpoint, '--to', backend, ...how, ...profile, '--out', dir]);
      const bytes = await sizeOf(dir);
      for (const load of LOADS.filter((each) => each.backend === backend)) {
        const [without, checked]: [number[], number[]] = [[], []];
        await load.run(dir, true);
        for (let run = 0; run < runs; run++)
          for (const [check, times] of [
            [false, without],
            [true, checked],
          ] as const) {
            const started = performance.now();
            await load.run(dir, check);
            times.push(performance.now() - started);
          }
        row(load.name, bytes, without, checked);
      }
      if (backend === 'onnx') {
        const found = await fetchInChromium(dir, join(root, 'page'), runs);
        if (found) {
          row('fetch in Chromium, all files', bytes, found.without, found.with);
          console.log(
            `Chromium: SubtleCrypto ${found.subtle.toFixed(0)} MB/s of a whole buffer, streams ${found.streamed.toFixed(0)} MB/s`,
          );
        }
      }
      await rm(dir, { recursive: true });
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  console.log(`${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]!.toFixed(1)}, Node ${process.version}`);
  console.log(tableText(['load', 'bundle', 'ms without', 'ms with', 'ratio'], rows, [1, 2, 3, 4]));
}
