import { z } from 'zod';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { parseSidecar, readSidecar } from '../../sidecars/sidecar.ts';
import { BadInputError } from '../../errors.ts';
import type { InputFile } from '../../inputs/input_file.ts';
import type { Inference } from '../family.ts';
import type { PaliGemmaConfig } from './config.ts';

const NAME = 'generation_config.json';

const id = z
  .int()
  .nonnegative()
  .max(1 << 24);
const schema = z.looseObject({ eos_token_id: z.union([id, z.array(id).min(1)]).nullish() });

/** Ids that end an answer, where they are not the end token alone, and what says so. */
export interface StopTokens {
  readonly stopTokenIds?: readonly number[];
  readonly inferences: readonly Inference[];
}

/**
 * Ids at which Hugging Face's `generate` ends a row: all of `eos_token_id` of generation_config.json; without it of
 * config.json, or of its text_config. Those that the model cannot say count for nothing.
 * @throws BadInputError for a damaged generation_config.json
 */
export async function readStopTokens(
  { sidecars, config }: Pick<Checkpoint, 'sidecars' | 'config'>,
  { eosTokenId, vocabSize }: Pick<PaliGemmaConfig, 'eosTokenId' | 'vocabSize'>,
): Promise<StopTokens> {
  const file = sidecars.get(NAME);
  const fields = (config ?? {}) as { readonly text_config?: unknown };
  const sources = [
    [NAME, file === undefined ? undefined : await idsOfFile(file)],
    ['config.json', idsOf(fields)],
    ['config.json text_config', idsOf(fields.text_config)],
  ] as const;
  const [from, given = [eosTokenId]] = sources.find(([, ids]) => ids !== undefined) ?? [''];
  const ids = [...new Set(given)].filter((token) => token < vocabSize);
  if (ids.length === 0 || (ids.length === 1 && ids[0] === eosTokenId)) return { inferences: [] };
  return {
    stopTokenIds: ids,
    inferences: [{ field: 'stopTokenIds', value: ids.join(', '), from: `${from} eos_token_id` }],
  };
}

async function idsOfFile(input: InputFile): Promise<readonly number[] | undefined> {
  const { path: file } = input;
  const parsed = schema.safeParse(parseSidecar(await readSidecar(input)));
  if (!parsed.success)
    throw new BadInputError('bad_sidecar', `eos_token_id: ${parsed.error.issues[0]!.message}`, {
      file,
      hint: 'correct eos_token_id, or take the file of the original model again',
    });
  return listOf(parsed.data.eos_token_id);
}

/** What is wrong in config.json is told by whoever reads its sizes. */
function idsOf(fields: unknown): readonly number[] | undefined {
  return listOf(schema.safeParse(fields).data?.eos_token_id);
}

function listOf(ids: number | readonly number[] | null | undefined): readonly number[] | undefined {
  if (ids === null || ids === undefined) return undefined;
  return typeof ids === 'number' ? [ids] : ids;
}
