import { cpus, loadavg } from 'node:os';
import { tableText } from '../terminal/table.ts';
import { formOf } from '../../ir/quantize/kernels/form.js';
import { jobRunner, type QuantizeJob } from '../../ir/quantize/kernels/run_job.js';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import { formats } from '../../ir/formats/index.ts';
import { INT4, INT8, printScheme, type Scheme } from '../../ir/quantize/scheme.ts';
import { bytesData, type TensorData } from '../../ir/tensor.ts';
import { convertedData } from '../../ir/views/convert.ts';
import { accelerateCasts, loadKernels } from '../threads/kernels_module.ts';
import { QuantizePool } from '../threads/quantize_pool.ts';

// Weights per second of each kernel and of whole matrices in threads. `npm run bench:kernels`, with nothing else
// running.

const SCHEMES: readonly Scheme[] = [
  { ...INT4, symmetric: true, algorithm: 'rtn' },
  { ...INT4, algorithm: 'rtn' },
  INT4,
  { ...INT4, symmetric: true },
  { ...INT4, floatZero: true },
  { ...INT4, algorithm: 'hqq' },
  { ...INT8, algorithm: 'rtn' },
  INT8,
  { ...INT8, block: 0 },
];

/** The best of at least so many and so long, since other processes only ever slow one down. */
const [REPEATS, SECONDS] = [5, 0.5];
const [ROWS, COLUMNS] = [128, 2048];
const [MATRIX_ROWS, MATRIX_COLUMNS] = [16384, 2048];

const kernels = await loadKernels();
if (!kernels) throw new Error('no kernels.wasm, or no SIMD here: npm run build');

/** bf16 patterns whose values fall off as weights' do. */
function weights(rows: number, columns: number): Uint8Array {
  const bits = new Uint16Array(rows * columns);
  const values = new Float32Array(1);
  const word = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) {
    values[0] = (Math.random() + Math.random() + Math.random() + Math.random() - 2) * 0.03;
    bits[i] = word[0]! >>> 16;
  }
  return new Uint8Array(bits.buffer);
}

/** Millions a second, of the best run. */
async function rate(count: number, run: () => unknown): Promise<number> {
  let best = Infinity;
  const end = performance.now() + 1000 * SECONDS;
  for (let i = 0; i < REPEATS || performance.now() < end; i++) {
    const started = performance.now();
    await run();
    best = Math.min(best, performance.now() - started);
  }
  return count / best / 1000;
}

async function kernelRows(): Promise<string[][]> {
  const bytes = weights(ROWS, COLUMNS);
  const [plain, vectors] = [jobRunner(undefined), jobRunner(kernels)];
  const rows: string[][] = [];
  for (const scheme of SCHEMES) {
    const { format, block, symmetric, floatZero = false, algorithm } = scheme;
    const job: QuantizeJob = {
      bytes,
      dtype: 'bf16',
      rows: ROWS,
      columns: COLUMNS,
      form: formOf({ bits: formats[format].bits, block: block || COLUMNS, symmetric, floatZero }),
      algorithm,
    };
    const [slow, fast] = [
      await rate(ROWS * COLUMNS, () => plain(job)),
      algorithm === 'hqq' ? undefined : await rate(ROWS * COLUMNS, () => vectors(job)),
    ];
    rows.push([printScheme(scheme), slow.toFixed(1), fast?.toFixed(0) ?? '-', fast ? (fast / slow).toFixed(0) : '-']);
  }
  return rows;
}

async function castRows(): Promise<string[][]> {
  const count = 1024 * 1024;
  const casts = [
    ['f32', 'f16'],
    ['f32', 'bf16'],
    ['bf16', 'f16'],
  ] as const;
  const single = new Uint8Array(Float32Array.from({ length: count }, () => Math.random() - 0.5).buffer);
  const measure = (from: 'f32' | 'bf16', to: 'f16' | 'bf16') =>
    rate(count, () =>
      drain(
        convertedData(bytesData(from, [count], single.slice(0, from === 'f32' ? 4 * count : 2 * count)), to, [count]),
      ),
    );
  const slow: number[] = [];
  for (const [from, to] of casts) slow.push(await measure(from, to));
  accelerateCasts(kernels!);
  const rows: string[][] = [];
  for (const [i, [from, to]] of casts.entries()) {
    const fast = await measure(from, to);
    rows.push([`${from} to ${to}`, slow[i]!.toFixed(0), fast.toFixed(0), (fast / slow[i]!).toFixed(1)]);
  }
  return rows;
}

async function drain(data: TensorData): Promise<void> {
  for await (const chunk of data.chunks()) void chunk;
}

async function threadRows(): Promise<string[][]> {
  const data = bytesData('bf16', [MATRIX_ROWS, MATRIX_COLUMNS], weights(MATRIX_ROWS, MATRIX_COLUMNS));
  const rows: string[][] = [];
  for (const scheme of [{ ...INT4, algorithm: 'rtn' } as const, INT4, INT8]) {
    const rates: string[] = [];
    for (const threads of [1, 2, 4]) {
      const pool = new QuantizePool(threads, kernels);
      rates.push(
        (
          await rate(MATRIX_ROWS * MATRIX_COLUMNS, () => drain(quantizeMatrix(data, scheme, { executor: pool }).q))
        ).toFixed(0),
      );
      await pool.dispose();
    }
    rows.push([printScheme(scheme), ...rates]);
  }
  return rows;
}

console.log(
  `Node ${process.version}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}`,
);
console.log(
  `\nMillion weights a second in one thread, blocks of bf16 in cache:\n${tableText(['scheme', 'plain', 'SIMD', 'ratio'], await kernelRows())}`,
);
console.log(
  `\nMillion elements a second of casts, bytes copied out of a checkpoint included:\n${tableText(['cast', 'plain', 'SIMD', 'ratio'], await castRows())}`,
);
console.log(
  `\nMillion weights a second of a matrix [${MATRIX_ROWS}, ${MATRIX_COLUMNS}] in threads:\n${tableText(['scheme', '1', '2', '4'], await threadRows())}`,
);
