import { matchesGlob } from '../../../ir/text/glob.ts';
import { shellWord } from '../../../ir/text/shell_word.ts';
import type { SeenTensor } from '../../checkpoints/leftover_tensors.ts';
import { shorten } from '../../checkpoints/strict_json.ts';
import { BadInputError, UsageError } from '../../errors.ts';

/** Tensors that a user names to leave out: `*` stands for any characters. */
export class LeaveOut {
  readonly #patterns: readonly { readonly text: string; used: boolean }[];

  constructor(patterns: readonly string[] = []) {
    this.#patterns = patterns.map((text) => ({ text, used: false }));
  }

  has(name: string): boolean {
    const found = this.#patterns.filter(({ text }) => matchesGlob(text, name));
    for (const pattern of found) pattern.used = true;
    return found.length > 0;
  }

  /** @throws UsageError for a pattern by which nothing was left out: a tensor of the model cannot be */
  requireUsed(file: string): void {
    const idle = this.#patterns.find(({ used }) => !used);
    if (idle)
      throw new UsageError('nothing_left_out', `--leave-out ${idle.text}: no tensor of that name is beside the model`, {
        file,
        hint: 'leave the option out, or name tensors that `unaccounted` lists',
      });
  }
}

/**
 * Tensors that no rule knows: they may be of the model, so nothing is converted.
 * @param place the checkpoint, for messages
 */
export function unaccounted(tensors: ReadonlyMap<string, SeenTensor | undefined>, path: string): BadInputError {
  const [first] = tensors;
  const from = first?.[1]?.from;
  const listed = [...tensors]
    .slice(0, 8)
    .map(([name, data]) => `"${shorten(name)}"${data ? ` [${data.shape.join(', ')}]` : ''}`);
  const rest = tensors.size > listed.length ? `, and ${tensors.size - listed.length} more` : '';
  const count = tensors.size === 1 ? 'a tensor is' : `${tensors.size} tensors are`;
  return new BadInputError(
    'unaccounted',
    `${count} of no part that PaliGemma has, and of nothing that is known to lie beside one: ${listed.join(', ')}${rest}`,
    {
      file: from?.file ?? path,
      tensor: first?.[0] ?? '?',
      ...(from && { offset: from.byteOffset }),
      hint: `if the model computes the same without ${tensors.size === 1 ? 'it' : 'them'}, leave ${tensors.size === 1 ? 'it' : 'them'} out by name: ${patternsOf(
        [...tensors.keys()],
      )
        .map((pattern) => `--leave-out ${shellWord(shorten(pattern))}`)
        .join(' ')}`,
    },
  );
}

/** A pattern for each first part of the names: the name itself where it is alone. */
function patternsOf(names: readonly string[]): readonly string[] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const first = /^[^./]+[./]/.exec(name)?.[0] ?? name;
    groups.set(first, [...(groups.get(first) ?? []), name]);
  }
  return [...groups].map(([first, group]) => (group.length === 1 ? group[0]! : `${first}*`));
}
