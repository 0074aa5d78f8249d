import { isEarlier, type Earlier, type GraphRun } from '../ir/graph_run.ts';
import type { Tensor } from '../ir/tensor.ts';

/** Runs of which no two are the same, and the place of each that was asked for among them. */
export interface DistinctRuns {
  readonly distinct: readonly GraphRun[];
  readonly places: readonly number[];
}

/**
 * Runs of a graph without those that an earlier one equals: the same inputs, bit by bit, and the same outputs and
 * stages. What is planned side by side repeats itself (the prompt of a row alone, say), and a prompt of a large model
 * takes a minute. A run that is compared on the stages of another stays as it is.
 */
export function distinctRuns(runs: readonly GraphRun[]): DistinctRuns {
  const distinct: GraphRun[] = [];
  const places: number[] = [];
  for (const run of runs) {
    const inputs = Object.fromEntries(
      Object.entries(run.inputs).map(([name, input]) => [
        name,
        isEarlier(input) ? { ...input, run: places[input.run]! } : input,
      ]),
    );
    const own = { ...run, inputs };
    const known = distinct.findIndex((other) => isSame(other, own));
    places.push(known >= 0 ? known : distinct.push(own) - 1);
  }
  return { distinct, places };
}

function isSame(a: GraphRun, b: GraphRun): boolean {
  if (a.given || b.given) return false;
  if ((a.stages ?? []).join('\n') !== (b.stages ?? []).join('\n')) return false;
  if (a.outputs?.join('\n') !== b.outputs?.join('\n')) return false;
  const names = Object.keys(a.inputs);
  return (
    names.length === Object.keys(b.inputs).length &&
    names.every((name) => name in b.inputs && isSameInput(a.inputs[name]!, b.inputs[name]!))
  );
}

function isSameInput(a: Tensor | Earlier, b: Tensor | Earlier): boolean {
  if (isEarlier(a) || isEarlier(b)) return isEarlier(a) && isEarlier(b) && a.run === b.run && a.output === b.output;
  if (a === b) return true;
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

const bytesOf = ({ data }: Tensor) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
