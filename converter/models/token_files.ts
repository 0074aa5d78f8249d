import type { Checkpoint, SidecarName } from '../checkpoints/checkpoint.ts';
import type { InputFile } from '../inputs/input_file.ts';
import type { Adapter } from './adapters/adapter.ts';

/** Files that say which tokens there are. */
const TOKENIZER_FILES: readonly SidecarName[] = [
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
];
const VOCABULARIES: readonly SidecarName[] = ['tokenizer.json', 'tokenizer.model'];

/**
 * The files beside a model's weights: the checkpoint's, with the tokenizer of the last adapter that was saved with one,
 * as it was trained with that. An adapter that has a list of added tokens alone adds it to the checkpoint's tokenizer.
 */
export function modelSidecars(
  checkpoint: Pick<Checkpoint, 'sidecars'>,
  adapters: readonly Pick<Adapter, 'name' | 'sidecars'>[],
): { readonly sidecars: ReadonlyMap<SidecarName, InputFile>; readonly warnings: readonly string[] } {
  const own = adapters.filter(({ sidecars }) => TOKENIZER_FILES.some((name) => sidecars.has(name)));
  const last = own.at(-1);
  if (!last) return { sidecars: checkpoint.sidecars, warnings: [] };
  const isWhole = VOCABULARIES.some((name) => last.sidecars.has(name));
  const kept = [...checkpoint.sidecars].filter(([name]) => !isWhole || !TOKENIZER_FILES.includes(name));
  const added = TOKENIZER_FILES.flatMap((name) => {
    const file = last.sidecars.get(name);
    return file === undefined ? [] : [[name, file] as const];
  });
  const others = own.slice(0, -1).map(({ name }) => name);
  return {
    sidecars: new Map([...kept, ...added]),
    warnings:
      others.length > 0
        ? [
            `${last.name} and ${others.join(', ')} were saved with a tokenizer each: that of ${last.name}, the last, is taken.`,
          ]
        : [],
  };
}
