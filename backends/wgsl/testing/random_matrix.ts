import { dtypes, type DType } from '../../../ir/dtypes/index.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomSource } from '../../../ir/random_source.ts';
import { FORMAT_NAMES, formats } from '../../../ir/formats/index.ts';
import { isCoded, matrixVectors, scaleWordsPerRow, vectorsPerRow, type MatrixForm } from '../kernels/matrix_form.ts';

export interface RandomMatrix {
  /** As kernels bind it. */
  readonly words: Uint32Array;
  /** What it means, [rows, columns]. */
  readonly tensor: Tensor;
}

function bitsOf(dtype: DType, value: number): number {
  const bytes = new Uint8Array(4);
  dtypes[dtype].encode(Float64Array.of(value), 0, 1, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

/**
 * A matrix written down from the description of its form, element by element: what packs matrices is not asked. What
 * fills rows up is garbage.
 */
export function randomMatrix(form: MatrixForm, rows: number, columns: number, seed: number): RandomMatrix {
  const next = randomSource(seed);
  const words = new Uint32Array(4 * matrixVectors(form, rows, columns)).fill(0x35353535);
  const perRow = 4 * vectorsPerRow(form, columns);
  const values = new Float64Array(rows * columns);
  const put = (word: number, shift: number, bits: number, code: number) => {
    const mask = bits === 32 ? 0xffffffff : (2 ** bits - 1) << shift;
    words[word] = (words[word]! & ~mask) | (code << shift);
  };
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      if (!isCoded(form)) {
        const bits = form.kind === 'f32' ? 32 : 16;
        values[at] = dtypes[form.kind].round(2 * next() - 1);
        put(row * perRow + Math.floor((column * bits) / 32), (column * bits) % 32, bits, bitsOf(form.kind, values[at]));
        continue;
      }
      const { bits, codebook } = formats[form.kind];
      const block = Math.floor(column / form.block);
      const code = Math.floor(next() * 2 ** bits);
      put(row * perRow + Math.floor((column * bits) / 32), (column * bits) % 32, bits, code);
      const precision = form.wide ? 'f32' : 'f16';
      const scale = dtypes[precision].round(0.01 + 0.001 * ((row * 7 + block * 3) % 11));
      const zero = form.zeros ? dtypes[precision].round(2 ** (bits - 1) + 0.25 * ((row + block) % 5)) : 2 ** (bits - 1);
      values[at] = codebook ? Math.fround(codebook[code]!) * scale : (code - zero) * scale;
      const first = rows * perRow + row * scaleWordsPerRow(form, columns);
      if (form.wide) {
        words[first + 2 * block] = bitsOf('f32', scale);
        words[first + 2 * block + 1] = bitsOf('f32', zero);
      } else if (form.zeros) words[first + block] = bitsOf('f16', scale) + bitsOf('f16', zero) * 65536;
      else put(first + Math.floor(block / 2), 16 * (block % 2), 16, bitsOf('f16', scale));
    }
  return { words, tensor: tensorOf('f32', [rows, columns], values) };
}

const CODEBOOKS = FORMAT_NAMES.filter((name) => formats[name].codebook);

/** Every way in which a matrix may lie. */
export const FORMS: readonly MatrixForm[] = [
  { kind: 'f32' },
  { kind: 'f16' },
  ...(['int8', 'int4'] as const).flatMap((kind) => [
    { kind, block: 32, zeros: false, wide: false },
    { kind, block: 32, zeros: true, wide: false },
    { kind, block: 32, zeros: true, wide: true },
    { kind, block: 64, zeros: false, wide: false },
  ]),
  ...CODEBOOKS.map((kind) => ({ kind, block: 64, zeros: false, wide: false })),
];
