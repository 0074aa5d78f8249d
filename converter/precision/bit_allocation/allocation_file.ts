import { z } from 'zod';
import { BadInputError, UsageError } from '../../errors.ts';
import type { Inputs } from '../../inputs/inputs.ts';
import { nearNames } from './near_names.ts';
import { STORAGES, type WeightStorage } from '../weight_storage.ts';

const schema = z.record(z.string().min(1), z.enum(STORAGES));
const EXAMPLE = '{"lm.embed": "int8", "lm.*.down": "int8", "vit.**": "fp16"}';

/** Reads `{"<pattern>": <one of STORAGES>}`. @throws UsageError when the file is something else. */
export async function readMixedFile(file: string, inputs: Inputs): Promise<ReadonlyMap<string, WeightStorage>> {
  const refuse = (message: string, cause?: unknown) =>
    new UsageError('bad_mixed_file', message, { file, hint: `write ${EXAMPLE}` }, { cause });
  let json: unknown;
  try {
    json = JSON.parse(await inputs.readText(file));
  } catch (cause) {
    if (cause instanceof BadInputError) throw cause;
    throw refuse(`cannot read what --mixed names: ${(cause as Error).message}`, cause);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return new Map(Object.entries(parsed.data));
  const issue = parsed.error.issues[0]!;
  throw refuse(`${issue.path.join('.') || 'the file'}: ${issue.message}`);
}

/**
 * The storage that patterns give to names: `*` stands for a part between dots, `**` for any characters, and of several
 * patterns that match, the last one counts. @throws UsageError for a pattern that matches none of `names`.
 */
export function matchPatterns(
  patterns: ReadonlyMap<string, WeightStorage>,
  names: readonly string[],
  file: string,
): ReadonlyMap<string, WeightStorage> {
  const chosen = new Map<string, WeightStorage>();
  for (const [pattern, storage] of patterns) {
    const expression = expressionOf(pattern);
    const matched = names.filter((name) => expression.test(name));
    if (matched.length === 0)
      throw new UsageError('unmatched_pattern', `"${pattern}" matches no matrix of this model`, {
        file,
        hint: `near it are ${nearNames(pattern, names).join(', ')}; norms, biases and convolutions keep their floats`,
      });
    for (const name of matched) chosen.set(name, storage);
  }
  return chosen;
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern
    .split(/(\*\*?)/)
    .map((part) =>
      part === '**' ? '.*' : part === '*' ? '[^.]*' : part.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`),
    );
  return new RegExp(`^${parts.join('')}$`, 's');
}
