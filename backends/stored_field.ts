/** The dtypes that weights are stored in. */
export type FieldDType = 'f32' | 'f16' | 'bf16' | 'u8' | 'i8' | 'u4' | 'i4';

/** What a stored tensor is taken for by the op that reads it. */
export type Claim =
  /**
   * Weights of the program by name, whose rows lie one behind the other; with `operand`, what the op that reads that
   * weight takes beside it under that name (`scales`).
   */
  | { readonly by: 'weight'; readonly names: readonly string[]; readonly operand?: string }
  /** What the op that makes a result of that name takes under the name `operand`. */
  | { readonly by: 'result'; readonly name: string; readonly operand: string };

/**
 * Where the elements of a weight lie in a file, by plain arithmetic: element [i, j, …] has the bits of its dtype,
 * lowest first, from bit `firstBit` + Σ index · stride of the file on. Whoever compares a bundle with its checkpoint
 * reads by this, so a backend makes it of what stands in its files and of what its runtime's ops are documented to
 * read: never by the code that wrote them.
 */
export interface StoredField {
  /** In the bundle, for messages. */
  readonly tensor: string;
  /** Relative to the bundle, with `/`. */
  readonly file: string;
  /** The IR graph whose op reads it. */
  readonly graph: string;
  readonly claim: Claim;
  readonly dtype: FieldDType;
  /** As the program has the weight, rows first; codes and what belongs to their blocks as [rows, elements of a row]. */
  readonly shape: readonly number[];
  readonly firstBit: number;
  /** In bits, one for each axis. */
  readonly strides: readonly number[];
  /** The element's high half lies so many bits behind its low one, each of 4 bits: a code of 8 bits in two places. */
  readonly highHalf?: number | undefined;
  /**
   * What is added to the stored number to get a code or a zero point as it is counted from 0 on; default 0. Whole
   * numbers with a sign are counted so once their sign bit is flipped.
   */
  readonly add?: number;
  /** Rows of the weight behind those that are stored are read as 0. */
  readonly restIsZero?: true;
  /** The stored number is so many times the weight's; default 1. */
  readonly times?: number;
}

/** Bits of an element. */
export const FIELD_BITS: Readonly<Record<FieldDType, 4 | 8 | 16 | 32>> = {
  f32: 32,
  f16: 16,
  bf16: 16,
  u8: 8,
  i8: 8,
  u4: 4,
  i4: 4,
};

/** Strides in bits of a shape in C order, of elements of `bits`. */
export function packedStrides(shape: readonly number[], bits: number): number[] {
  const strides: number[] = [];
  let stride = bits;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}
