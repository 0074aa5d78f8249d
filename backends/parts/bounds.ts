/** A step of a graph, with what a part that has it must hold. */
export interface PartStep {
  /** Weights that it reads, by what is held as one: the name of a tensor, the number of a file. */
  readonly weights: readonly (string | number)[];
  /** Whether the end of a layer is computed behind it. */
  readonly endsLayer: boolean;
}

export interface BoundsOptions {
  /** Bytes of what is held. */
  readonly bytesOf: (weight: string | number) => number;
  /** Whether no cut may lie before a step. */
  readonly isWhole: (at: number) => boolean;
  readonly maxBytes: number;
}

/**
 * Steps in parts that hold at most `maxBytes` of weights each, but for a single step that reads more: of each its first
 * step and the one behind its last. A cut lies behind the end of a layer where that leaves a part at least half of what
 * it may hold, else between any two steps: between shards of a large matrix, each of which has a step of its own.
 */
export function boundsOf(
  steps: readonly PartStep[],
  { bytesOf, isWhole, maxBytes }: BoundsOptions,
): readonly (readonly [number, number])[] {
  const bounds: [number, number][] = [];
  let begin = 0;
  let bytes = 0;
  let seen = new Set<string | number>();
  /** Behind the last layer of this part, and what the part holds until there. */
  let layer: { readonly end: number; readonly bytes: number } | undefined;
  const start = (at: number) => {
    bounds.push([begin, at]);
    [begin, bytes, seen, layer] = [at, 0, new Set(), undefined];
  };
  for (let at = 0; at < steps.length; at++) {
    const { weights, endsLayer } = steps[at]!;
    const added = () => weights.reduce<number>((sum, weight) => (seen.has(weight) ? sum : sum + bytesOf(weight)), 0);
    if (bytes + added() > maxBytes && at > begin && (layer || !isWhole(at))) {
      if (layer && layer.end > begin && layer.bytes >= maxBytes / 2) {
        const { end } = layer;
        start(end);
        at = end - 1;
        continue;
      }
      if (!isWhole(at)) start(at);
    }
    bytes += added();
    for (const weight of weights) seen.add(weight);
    if (endsLayer && !isWhole(at + 1)) layer = { end: at + 1, bytes };
  }
  bounds.push([begin, steps.length]);
  return bounds.filter(([first, end]) => end > first);
}
