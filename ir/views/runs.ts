import { elementCount, type TensorData } from '../tensor.ts';

/** Elements that follow each other in a source, or zeros. */
export type Run =
  | { readonly source: TensorData; readonly first: number; readonly count: number }
  | { readonly source: undefined; readonly count: number };

const made = new WeakMap<TensorData, readonly Run[]>();

/** What joined and cut data is made of; data of which nothing is known is a run of itself. */
export function runsOf(data: TensorData): readonly Run[] {
  return made.get(data) ?? [{ source: data, first: 0, count: elementCount(data.shape) }];
}

const ofZeros = new WeakSet<TensorData>();

/** Says that `data` stands for what rows of zeros become, as their codes and scales. */
export function rememberZeros(data: TensorData): TensorData {
  ofZeros.add(data);
  return data;
}

/** Whether a run is of rows of zeros, or stands for what they become. */
export function isOfZeros(run: Run): boolean {
  return run.source === undefined || ofZeros.has(run.source);
}

/** Whether a run has no source: its bytes are zero. */
export function isZeros(run: Run): run is Extract<Run, { source: undefined }> {
  return run.source === undefined;
}

/** Says that `data` holds these elements in order. */
export function rememberRuns(data: TensorData, runs: readonly Run[]): TensorData {
  made.set(data, joinNeighbours(runs));
  return data;
}

/** Elements [first, first + count) of runs. */
export function cutRuns(runs: readonly Run[], first: number, count: number): readonly Run[] {
  const cut: Run[] = [];
  let at = 0;
  for (const run of runs) {
    const [begin, end] = [Math.max(first - at, 0), Math.min(first + count - at, run.count)];
    if (begin < end)
      cut.push(
        isZeros(run)
          ? { source: undefined, count: end - begin }
          : { ...run, first: run.first + begin, count: end - begin },
      );
    at += run.count;
  }
  return cut;
}

function joinNeighbours(runs: readonly Run[]): readonly Run[] {
  const joined: Run[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last && isZeros(last) && isZeros(run))
      joined[joined.length - 1] = { source: undefined, count: last.count + run.count };
    else if (
      last &&
      !isZeros(last) &&
      !isZeros(run) &&
      last.source === run.source &&
      last.first + last.count === run.first
    )
      joined[joined.length - 1] = { ...last, count: last.count + run.count };
    else joined.push(run);
  }
  return joined;
}
