import { elementCount, type TensorData } from '../tensor.ts';
import { beforeConversion } from './convert.ts';
import { isZeros, runsOf } from './runs.ts';
import { viewBehind } from './view.ts';
import { windowOf } from './window.ts';

/**
 * The elements of `data` before any cast rounded them, in pieces and in any order, without zeros that fill it up: what
 * a checkpoint has, or what was computed of it. Nothing is read.
 */
export function unroundedPieces(data: TensorData): readonly TensorData[] {
  return runsOf(viewBehind(data).source).flatMap((run) => {
    if (isZeros(run)) return [];
    const { source, first, count } = run;
    const before = beforeConversion(source);
    if (before) return unroundedPieces(pieceOf(before, first, count));
    return [pieceOf(source, first, count)];
  });
}

function pieceOf(data: TensorData, first: number, count: number): TensorData {
  return first === 0 && count === elementCount(data.shape) ? data : windowOf(data, first, [count]);
}
