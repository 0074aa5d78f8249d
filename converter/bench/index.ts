import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { table } from '../commands/table.ts';
import { wholeNumber } from '../commands/options.ts';
import { VARIANTS } from '../families/paligemma/config.ts';
import { bytesText } from '../progress/units.ts';
import { measureConversion, type Measurement } from './convert_full_size.ts';

interface Flags {
  readonly dir: string;
  readonly variant: string;
  readonly runs: number;
  readonly layers?: number;
  readonly json?: boolean;
}

/** What full-size conversion may cost (README): copies of input and output, and memory. */
const MAX_RATIO = 1.5;
const MAX_PEAK_BYTES = 2 ** 30;

const program = new Command('npm run bench --')
  .description('Time and memory of a full-size bf16 → fp16 conversion, beside copies of its input and output on the same disk. Needs about 20 GB of disk.')
  .option('--dir <dir>', 'folder for the checkpoints and bundles; on the disk to be measured', 'tmp/bench')
  .addOption(new Option('--variant <name>', 'shapes').choices(Object.keys(VARIANTS)).default('paligemma-3b-224'))
  .option('--runs <n>', 'conversions of each format', wholeNumber(1), 3)
  .option('--layers <n>', 'decoder layers (default: all)', wholeNumber(1))
  .option('--json', 'print JSON')
  .parse();
const { dir, variant, runs, layers, json } = program.opts<Flags>();
const folder = resolve(dir);
await mkdir(folder, { recursive: true });
const log = (line: string) => void process.stderr.write(`${line}\n`);
const all = [...(await measureConversion(folder, 'hf', variant, runs, layers, log)), ...(await measureConversion(folder, 'npz', variant, runs, layers, log))];
if (json) console.log(JSON.stringify(all, null, 2));
else console.log(report(all));

function report(measured: readonly Measurement[]): string {
  const rows = (['hf', 'npz'] as const).map((format) => {
    const own = measured.filter((m) => m.format === format);
    const median = (of: keyof Omit<Measurement, 'format'>) => medianOf(own.map((m) => m[of]));
    const seconds = (of: 'convertSeconds' | 'copyInputSeconds' | 'copyOutputSeconds') => `${median(of).toFixed(1)} s`;
    const ratios = own.map((m) => m.ratio);
    const range = `${median('ratio').toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
    const peak = Math.max(...own.map((m) => m.peakBytes));
    return [format, bytesText(median('inputBytes')), bytesText(median('outputBytes')), seconds('convertSeconds'), seconds('copyInputSeconds'), seconds('copyOutputSeconds'), range, `${(peak / 2 ** 20).toFixed(0)} MiB`, median('ratio') <= MAX_RATIO && peak <= MAX_PEAK_BYTES ? 'ok' : 'ABOVE the goal'];
  });
  const head = ['from', 'input', 'output', 'convert', 'cp input', 'cp output', 'convert ÷ copies', 'peak memory', ''];
  return `${variant}, bf16 → fp16 ONNX, median of ${runs}; ${cpus().length} × ${cpus()[0]?.model.trim()}; goals: ratio ≤ ${MAX_RATIO}, memory ≤ 1 GiB\n${table(head, rows, [1, 2, 3, 4, 5, 6, 7])}`;
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2;
}
