import { printDim, type Dim } from '../../../ir/dim.ts';
import { coordinateTexts, isPacked, offsetText } from './indexing.ts';
import { ONE, type Kernel } from './kernel.ts';
import { largestOf, perRow, rowGrid, rowThreads, sumOver } from './row_reduction.ts';

const X_AND_OUT = [
  { name: 'x', type: 'array<f32>', access: 'read' },
  { name: 'out', type: 'array<f32>', access: 'read_write' },
] as const;

/** Softmax over the last axis: bindings x, out. */
export function softmaxKernel(shape: readonly Dim[]): Kernel {
  const threads = rowThreads(shape.at(-1)!);
  const statements = `\
  var most = -3.4e38;
  for (var i = local; i < width; i += ${threads}u) { most = max(most, x[start + i]); }
  most = largest(most, local);
  var total = 0.0;
  for (var i = local; i < width; i += ${threads}u) { total += exp(max(x[start + i] - most, -100.0)); }
  total = sum(total, local);
  for (var i = local; i < width; i += ${threads}u) { out[start + i] = exp(max(x[start + i] - most, -100.0)) / total; }`;
  return {
    name: 'softmax',
    doc: `softmax over the last axis of [${shape.map(printDim).join(', ')}]: a workgroup a row.`,
    bindings: X_AND_OUT,
    body: [largestOf(threads), sumOver(threads), perRow(shape, threads, statements)].join('\n\n'),
    grid: [rowGrid(shape), ONE, ONE],
  };
}

/** The mean over the last axis, which stays with size 1: bindings x, out. */
export function reduceMeanKernel(shape: readonly Dim[]): Kernel {
  const threads = rowThreads(shape.at(-1)!);
  const result = [...shape.slice(0, -1), 1];
  const at = isPacked(result)
    ? 'row'
    : offsetText(
        coordinateTexts('row', result).map((text) => `(${text})`),
        result,
      );
  const statements = `\
  var total = 0.0;
  for (var i = local; i < width; i += ${threads}u) { total += x[start + i]; }
  total = sum(total, local);
  if (local == 0u) { out[${at}] = total / f32(width); }`;
  return {
    name: 'reduce_mean',
    doc: `Mean over the last axis of [${shape.map(printDim).join(', ')}]: a workgroup a row.`,
    bindings: X_AND_OUT,
    body: [sumOver(threads), perRow(shape, threads, statements)].join('\n\n'),
    grid: [rowGrid(shape), ONE, ONE],
  };
}
