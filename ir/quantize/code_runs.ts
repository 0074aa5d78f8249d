import { elementCount, type TensorData } from '../tensor.ts';
import { isZeros, rememberRuns, rememberZeros, runsOf, type Run } from '../views/runs.ts';
import { isStraight, viewBehind } from '../views/view.ts';

/** What stands for the codes, scales or zero points of all rows of a source under one recipe. */
const made = new WeakMap<TensorData, Map<string, TensorData>>();
/** The same for rows of zeros, which belong to no source. */
const ofZeros: TensorData = { dtype: 'u8', shape: [0], byteLength: 0, async *chunks() {} };

/**
 * Says which rows of which source the rows of `result` are made of. A row's codes depend on nothing but the row and the
 * recipe, so that the same rows, quantized twice as parts of two matrices, are known to be equal without being read.
 */
export function rememberCodes(result: TensorData, source: TensorData, recipe: string): TensorData {
  const view = viewBehind(source);
  const rows = source.shape[0]!;
  const [columns, own] = [elementCount(source.shape) / rows, elementCount(result.shape) / rows];
  const runs = runsOf(view.source);
  const isWholeRows = runs.every((run) => run.count % columns === 0 && (isZeros(run) || run.first % columns === 0));
  if (!isStraight(view) || !isWholeRows) return result;
  const key = `${recipe} from ${view.dtype}, ${columns} to ${own} of ${result.dtype}`;
  return rememberRuns(
    result,
    runs.map((run): Run => ({
      source: standIn(isZeros(run) ? ofZeros : run.source, key),
      first: isZeros(run) ? 0 : (run.first / columns) * own,
      count: (run.count / columns) * own,
    })),
  );
}

function standIn(source: TensorData, key: string): TensorData {
  const all = made.get(source) ?? new Map<string, TensorData>();
  made.set(source, all);
  const known = all.get(key) ?? (source === ofZeros ? rememberZeros({ ...ofZeros }) : { ...ofZeros });
  all.set(key, known);
  return known;
}
