import { exchanged, exchangedColumns, flip, swapNibbles, swapRows, turned } from './edits.ts';
import type { Edit } from './places.ts';

/** A fault in the bytes of a bundle's weights, of which no hash and no shape tells. */
export interface FileFault {
  readonly name: string;
  /** Tensors of the bundle that are changed: all of them must be named, and no other. */
  readonly tensors: readonly string[];
  readonly edit: Edit;
}

/** Bytes of an f16, and of an f32. */
const [HALF, FLOAT] = [2, 4];

/** Widths of PaliGemma 3B: of the decoder, of its head, of the image tower's heads and rows. */
const WIDTH = 2048;
const HEAD = 256;
const TOWER_HEAD = 72;
const MLP = 16384;

/** Of fp16 bundles: what of a decoder's layer is read as x · W lies turned, tables and head as they are. */
export const FP16_FILE_FAULTS: readonly FileFault[] = [
  {
    name: 'a row of the head swapped with its neighbour, deep in its last shard',
    tensors: ['lm.head.1'],
    edit: swapRows(WIDTH * HALF, 100_001),
  },
  { name: 'two shards of the table exchanged', tensors: ['lm.embed.0', 'lm.embed.1'], edit: exchanged },
  {
    name: 'k and v of the only head swapped',
    tensors: ['lm.1.k.transposed', 'lm.1.v.transposed'],
    edit: exchanged,
  },
  {
    name: 'two neurons of the MLP swapped in its gate alone',
    tensors: ['lm.0.gate.transposed'],
    edit: (bytes) => exchangedColumns(MLP * HALF, 0, HALF)(bytes, bytes.subarray(12_345 * HALF)),
  },
  {
    name: 'the last bit of the last weight of a matrix',
    tensors: ['lm.1.down.transposed'],
    edit: (bytes) => flip(bytes.length - HALF)(bytes),
  },
  {
    name: 'the sign of one sine, at position 8000',
    tensors: ['rope.sin'],
    edit: flip((8000 * (HEAD / 2) + 3) * FLOAT + 3, 0x80),
  },
  { name: 'a square matrix as it is, not turned', tensors: ['lm.0.q.transposed'], edit: turned(WIDTH, WIDTH, HALF) },
  {
    name: 'two layers exchanged in one matrix',
    tensors: ['lm.0.o.transposed', 'lm.1.o.transposed'],
    edit: exchanged,
  },
  {
    name: 'one head of the image tower: its keys and values swapped',
    tensors: ['vit.1.k.w.transposed', 'vit.1.v.w.transposed'],
    edit: exchangedColumns(1152 * HALF, 5 * TOWER_HEAD * HALF, TOWER_HEAD * HALF),
  },
];

/** Of int4 bundles: codes of two a byte, a scale for each 32 of them. */
export const INT4_FILE_FAULTS: readonly FileFault[] = [
  { name: 'one scale off by one bit', tensors: ['lm.1.down.scales'], edit: flip(FLOAT * 777_777) },
  { name: 'one zero point off by one', tensors: ['lm.0.q.zeros'], edit: flip(4321) },
  {
    name: 'the two codes of one byte of the head swapped',
    tensors: ['lm.head.codes'],
    edit: (bytes) => {
      // a byte of two codes that are alike shows nothing
      let at = 200_000_001;
      while (bytes[at]! >> 4 === (bytes[at]! & 15)) at++;
      swapNibbles(at)(bytes);
    },
  },
  {
    name: 'a row of codes of the table swapped with its neighbour',
    tensors: ['lm.embed.codes'],
    edit: swapRows(WIDTH, 222_222),
  },
];

/** Of fp16 bundles of PaliGemma 2, which has four heads of keys and values. */
export const PALIGEMMA_2_FILE_FAULTS: readonly FileFault[] = [
  {
    name: 'the third head of four: its k and v swapped',
    tensors: ['lm.1.k.transposed', 'lm.1.v.transposed'],
    edit: exchangedColumns(4 * HEAD * HALF, 2 * HEAD * HALF, HEAD * HALF),
  },
  { name: 'the last shard of the head begins a row too late', tensors: ['lm.head.2'], edit: (bytes) => rolled(bytes) },
];

/** Each row of a matrix of PaliGemma 2's width in the place before it. */
function rolled(bytes: Uint8Array): void {
  const row = 2304 * HALF;
  const first = bytes.slice(0, row);
  bytes.copyWithin(0, row);
  bytes.set(first, bytes.length - row);
}
