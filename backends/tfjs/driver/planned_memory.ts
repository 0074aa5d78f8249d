import type { PartFiles, TfjsBundle } from './bundle.ts';

/** What a bundle takes to load, by its shapes alone. */
export interface PlannedMemory {
  /** Bytes of all files of weights. */
  readonly stored: number;
  /** Bytes of weights in tfjs once all are there: the stock loader expands halves and bytes to f32. */
  readonly loaded: number;
  /** The most while they are loaded: what is there already, and what the largest weight has on its way. */
  readonly peak: number;
  readonly parts: readonly {
    readonly folder: string;
    readonly stored: number;
    readonly loaded: number;
    readonly largest: number;
  }[];
}

/**
 * Copies of a weight's stored bytes that exist at a time: the chunk, tfjs's copies of it when it is read and when it is
 * cut out (tfjs-core, io_utils.ts).
 */
const COPIES_ON_THE_WAY = 3;

/** Bytes that a bundle takes while it is loaded and afterwards, from its graph models alone: no weight is read. */
export function plannedMemory({ parts }: Pick<TfjsBundle, 'parts'>): PlannedMemory {
  let [stored, loaded, peak] = [0, 0, 0];
  const rows = [...parts.values()].map((part) => {
    const own = { folder: part.folder, stored: 0, loaded: 0, largest: 0 };
    for (const { byteLength, bytes } of weightsOf(part)) {
      peak = Math.max(peak, loaded + own.loaded + COPIES_ON_THE_WAY * byteLength + bytes);
      own.stored += byteLength;
      own.loaded += bytes;
      own.largest = Math.max(own.largest, bytes);
    }
    stored += own.stored;
    loaded += own.loaded;
    return own;
  });
  return { stored, loaded, peak, parts: rows };
}

function weightsOf({ weights }: PartFiles): readonly { readonly byteLength: number; readonly bytes: number }[] {
  return weights.map(({ spec: { shape, dtype }, byteLength }) => ({
    byteLength,
    bytes: shape.reduce((product, size) => product * size, 1) * (dtype === 'bool' ? 1 : 4),
  }));
}
