/** How a matrix lies in packed weights, and the size of a product with it. */
export interface PackedShape {
  /** Rows of x. */
  readonly rows: number;
  /** K: columns of x and of the matrix. */
  readonly columns: number;
  /** N: rows of the matrix. */
  readonly outputs: number;
  readonly bits: 4 | 8;
  /** Columns that share a scale. */
  readonly group: number;
  /** int32 words of a row of codes. */
  readonly words: number;
  /** Scales of a row. */
  readonly blocks: number;
  /** What each code means, times its scale; absent: (code − zero) · scale. */
  readonly codebook?: readonly number[];
}

/** What a node of the packed op states. */
export interface PackedAttrs {
  readonly bits: number;
  readonly group: number;
  readonly columns: number;
  /** Absent or empty for affine codes. */
  readonly codebook?: readonly number[] | undefined;
}

/** @throws Error when the operands are none of the packed op: kernels read memory by these numbers */
export function packedShape(
  x: readonly number[],
  codes: readonly number[],
  scales: readonly number[],
  zeros: readonly number[] | undefined,
  { bits, group, columns, codebook = [] }: PackedAttrs,
): PackedShape {
  const [outputs, words] = codes as readonly [number, number];
  const blocks = Math.ceil(columns / group);
  const perWord = 32 / bits;
  const fits =
    (bits === 4 || bits === 8) &&
    (codebook.length === 0 || (codebook.length === 2 ** bits && zeros === undefined)) &&
    group > 0 &&
    group % perWord === 0 &&
    codes.length === 2 &&
    x.at(-1) === columns &&
    words === (blocks * group) / perWord &&
    scales.join() === `${outputs},${blocks}` &&
    (zeros === undefined || zeros.join() === String(Math.ceil((outputs * blocks * bits) / 32)));
  if (!fits)
    throw new Error(
      `PgQMatMul of x[${x.join(', ')}] by codes[${codes.join(', ')}], scales[${scales.join(', ')}]${zeros ? `, zeros[${zeros.join(', ')}]` : ''} in groups of ${group} with ${bits} bits and ${columns} columns`,
    );
  return {
    rows: x.slice(0, -1).reduce((product, size) => product * size, 1),
    columns,
    outputs,
    bits: bits,
    group,
    words,
    blocks,
    ...(codebook.length > 0 && { codebook }),
  };
}
