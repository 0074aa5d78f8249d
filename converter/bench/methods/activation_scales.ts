import type { SecondMoments } from '../../../ir/observe/second_moments.ts';
import type { Channels } from '../../../ir/passes/balance_channels.ts';
import { quantizeMatrix } from '../../../ir/quantize/quantize_matrix.ts';
import { INT4 } from '../../../ir/quantize/scheme.ts';
import { readTensor } from '../../../ir/tensor.ts';
import { channelSquares } from '../../../ir/views/scale_channels.ts';
import { matrixOf } from './coded_matrix.ts';

/** Powers of the activation that are tried, as AWQ's: 0 leaves columns as they are. */
const POWERS = Array.from({ length: 11 }, (_, i) => i / 10);
/** Rows of a matrix, spread over it, by which a power is judged. */
const MOST_ROWS = 48;
const LEAST_SHARE = 1e-6;

/**
 * AWQ (arXiv:2306.00978): columns are multiplied by a power of the root mean square of their activation, the power of
 * each set of channels being that with the least error of outputs, Σ E[x²] δ².
 */
export async function searchedPower(channels: Channels, moments: SecondMoments): Promise<Float64Array> {
  const { squares, parts } = await seen(channels, moments);
  const mean = squares.reduce((sum, x) => sum + x, 0) / squares.length;
  let best: { readonly error: number; readonly factors: Float64Array } | undefined;
  for (const power of POWERS) {
    const factors = squares.map((x) => Math.max(x / mean, LEAST_SHARE) ** (-power / 2));
    let error = 0;
    for (const part of parts) error += await outputError(part, factors, squares);
    if (!best || error < best.error) best = { error, factors };
  }
  return best!.factors;
}

/** The formula of the product, r^¾ / m^¼, with the root mean square of the activation for m. */
export async function byActivation(channels: Channels, moments: SecondMoments): Promise<Float64Array> {
  const { squares } = await seen(channels, moments);
  const all = await Promise.all(channels.readers.map(({ data }) => channelSquares(data, 'last')));
  const logs = squares.map((x, i) => (3 * Math.log(all.reduce((sum, own) => sum + own[i]!, 0)) - Math.log(x)) / 8);
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  return logs.map((log) => Math.exp(log - mean));
}

/** E[x²] of the channels, and rows of what reads them. */
async function seen({ readers }: Channels, moments: SecondMoments) {
  const squares = moments.importanceOf(readers[0]!.value.name);
  if (!squares) throw new Error(`nothing was seen of what goes into ${readers[0]!.value.name}`);
  const parts: Float32Array[] = [];
  for (const { data } of readers) {
    const [rows, columns] = data.shape as [number, number];
    const all = (await readTensor(data)).data;
    const count = Math.min(rows, MOST_ROWS);
    const place = (i: number) => Math.floor((Math.floor(i / columns) * rows) / count) * columns + (i % columns);
    parts.push(Float32Array.from({ length: count * columns }, (_, i) => all[place(i)]!));
  }
  return { squares, parts };
}

/** Of rows whose columns are divided by the factors before they become codes. */
async function outputError(rows: Float32Array, factors: Float64Array, squares: Float64Array): Promise<number> {
  const columns = factors.length;
  const { block } = INT4;
  const blocks = Math.ceil(columns / block);
  const divided = rows.map((w, i) => w / factors[i % columns]!);
  const { q, scales, zeros } = quantizeMatrix(matrixOf(divided, columns), INT4);
  const [codes, steps, middles] = await Promise.all(
    [q, scales, zeros!].map(async (data) => (await readTensor(data)).data),
  );
  return divided.reduce((sum, w, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const own = row * blocks + Math.floor(column / block);
    const code = codes![own * block + (column % block)]!;
    const delta = (w - (code - middles![own]!) * steps![own]!) * factors[column]!;
    return sum + squares[column]! * delta ** 2;
  }, 0);
}
