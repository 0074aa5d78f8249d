import type { Backend } from '../../../backends/backend.ts';
import { formats, isFormatName } from '../../../ir/formats/index.ts';
import type { Program } from '../../../ir/graph.ts';
import { contentKey } from '../../../ir/views/content.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import { quantizableWeights, type QuantizableWeight } from '../../../ir/passes/index.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import { UsageError } from '../../errors.ts';
import { inputsOr, type Inputs } from '../../inputs/inputs.ts';
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
  /** Where the bundle goes: formats that a file names must be there; default a place that has all. */
  readonly backend?: Pick<Backend, 'name' | 'refusal'> & Partial<Pick<Backend, 'sharesTable'>>;
  /** One of its targets. */
  readonly target?: string | undefined;
  /** Which a file with patterns is among; default inputs of its own. */
  readonly inputs?: Inputs | undefined;
}

/**
 * How each matrix is stored. @throws UsageError when `mixed` is asked of a precision whose weights are floats, for a
 * file that is none, for a pattern that matches nothing, and for one that names a format which the backend has not.
 */
export async function chooseStorage({
  precision,
  mixed = 'auto',
  program,
  roleOf,
  backend,
  target,
  inputs: given,
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
  // each of its rows is read where a code names it, and it is small
  const isCodebook = (name: string) => roleOf(name)?.part === 'codebook';
  const unlessCodebook = (stored: (name: string) => WeightStorage) => (weight: QuantizableWeight) =>
    isCodebook(weight.name) ? 'fp32' : stored(weight.name);
  if (mixed === 'none') return unlessCodebook(() => base);
  if (mixed === 'auto') {
    const shared = backend?.sharesTable === true && isTied(program, roleOf);
    return unlessCodebook((name) =>
      formats[base].bits === 4 && deservesMoreBits(roleOf(name), shared) ? 'int8' : base,
    );
  }
  const names = program.graphs.flatMap(quantizableWeights).flatMap(({ name }) => (isCodebook(name) ? [] : [name]));
  const { inputs, close } = inputsOr(given);
  const patterns = await readMixedFile(mixed, inputs).finally(() => void close());
  if (backend) refuseFormats(patterns, mixed, { backend, target });
  const chosen = matchPatterns(patterns, names, mixed);
  return unlessCodebook((name) => chosen.get(name) ?? base);
}

/** Whether the head is rows of the table. */
function isTied({ graphs }: Program, roleOf: RoleOf): boolean {
  const keyOf = (part: 'embedding' | 'head') => {
    const weights = graphs.flatMap(({ constants }) => constants.flatMap((c) => (c.kind === 'weight' ? [c] : [])));
    const found = weights.find(({ value }) => roleOf(value.name)?.part === part);
    return found && contentKey(sliceRows(found.data, 0, 1));
  };
  const [table, head] = [keyOf('embedding'), keyOf('head')];
  return table !== undefined && table === head;
}

function refuseFormats(
  patterns: ReadonlyMap<string, WeightStorage>,
  file: string,
  { backend, target }: Required<Pick<ChooseStorageOptions, 'backend'>> & Pick<ChooseStorageOptions, 'target'>,
): void {
  for (const [pattern, storage] of patterns) {
    const refusal = isFormatName(storage) ? backend.refusal(storage, target) : undefined;
    if (refusal)
      throw new UsageError(
        'unsupported_precision',
        `"${pattern}": ${backend.name} has no ${storage}${target === undefined ? '' : ` for ${target}`}: ${refusal.reason}`,
        { file, hint: `choose ${refusal.instead}` },
      );
  }
}
