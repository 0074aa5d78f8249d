import { formats } from '../../../ir/formats/index.ts';
import type { Program } from '../../../ir/graph.ts';
import { quantizableWeights, type QuantizableWeight } from '../../../ir/passes/index.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import { UsageError } from '../../errors.ts';
import { formatFor, QUANTIZED } from '../precision.ts';
import { deservesMoreBits } from './auto.ts';
import { matchPatterns, readMixedFile } from './allocation_file.ts';
import type { RoleOf, WeightStorage } from '../weight_storage.ts';

/** `none`, `auto`, or the path of a file with patterns. */
export type Mixed = 'none' | 'auto' | (string & {});

export interface ChooseStorageOptions {
  readonly precision: Precision;
  /** Default `auto`: in 4-bit precisions what deserves more bits gets 8; nothing in others. */
  readonly mixed?: Mixed;
  /** The f32 program whose matrices are asked about. */
  readonly program: Program;
  /** What the family knows of them. */
  readonly roleOf: RoleOf;
}

/**
 * How each matrix is stored. @throws UsageError when `mixed` is asked of a precision whose weights are floats, for a
 * file that is none, and for a pattern that matches nothing.
 */
export async function chooseStorage({
  precision,
  mixed = 'auto',
  program,
  roleOf,
}: ChooseStorageOptions): Promise<(weight: QuantizableWeight) => WeightStorage> {
  const base = formatFor(precision);
  if (!base) {
    if (mixed === 'none' || mixed === 'auto') return () => 'fp32';
    throw new UsageError(
      'mixed_without_codes',
      `--mixed chooses how weights are quantized, and ${precision} quantizes none`,
      { hint: `choose ${QUANTIZED.join(', ')}` },
    );
  }
  if (mixed === 'none') return () => base;
  if (mixed === 'auto')
    return ({ name }) => (formats[base].bits === 4 && deservesMoreBits(roleOf(name)) ? 'int8' : base);
  const names = program.graphs.flatMap(quantizableWeights).map(({ name }) => name);
  const chosen = matchPatterns(await readMixedFile(mixed), names, mixed);
  return ({ name }) => chosen.get(name) ?? base;
}
