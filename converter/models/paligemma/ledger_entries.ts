import { basename } from 'node:path';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import type { KnownTokens } from '../../sidecars/known_tokens.ts';
import type { AdaptedWeights } from '../adapters/index.ts';
import type { Fate, Fates, LedgerEntry } from '../ledger/ledger.ts';
import type { PaliGemmaConfig } from './config.ts';
import type { ResolvedHead } from './tied_head.ts';

/** What entries of tables depend on. */
export interface TableReading {
  readonly config: PaliGemmaConfig;
  readonly tokens?: KnownTokens | undefined;
}

const TABLES: readonly (string | undefined)[] = ['lm.embed', 'lm.head'];

/** What became of a checkpoint's tensors, table and head by rows. */
export function checkpointEntries(
  { tensors, unreadable = new Map(), files, path }: Pick<Checkpoint, 'tensors' | 'unreadable' | 'files' | 'path'>,
  fates: Fates,
  { replaced, equal, ...reading }: TableReading & Pick<AdaptedWeights, 'replaced'> & Pick<ResolvedHead, 'equal'>,
): readonly LedgerEntry[] {
  const table = [...fates].find(([, { used }]) => used?.includes('lm.embed'))?.[0] ?? '';
  const nameOf = new Map(files.map((file) => [file.path, file.name]));
  return [...fates].flatMap(([tensor, fate]) => {
    const data = tensors.get(tensor) ?? unreadable.get(tensor);
    const place = { file: nameOf.get(data?.from?.file ?? path) ?? basename(path), tensor };
    const [weight, ...others] = fate.used ?? [];
    if (weight !== undefined && others.length === 0 && replaced.has(weight))
      return [{ ...place, leftOut: 'replaced' as const }];
    if (!data || !TABLES.includes(weight)) return [{ ...place, ...fate }];
    const own: Fate = weight === 'lm.head' && equal ? { equal: { to: table, ...equal } } : fate;
    return tableEntries(place, data.shape[0]!, own, reading);
  });
}

/** What became of the tensors of adapters: those of nothing are refused before. */
export function adapterEntries(used: AdaptedWeights['used'], reading: TableReading): readonly LedgerEntry[] {
  return used.flatMap(({ adapter, data, weight, isWhole }) => {
    const place = { file: `adapter-${adapter + 1}/${basename(data.from?.file ?? '')}`, tensor: data.from?.key ?? '?' };
    return isWhole && TABLES.includes(weight)
      ? tableEntries(place, data.shape[0]!, { used: [weight] }, reading)
      : [{ ...place, used: [weight] }];
  });
}

/** The rows of a table of tokens, in their order. */
function tableEntries(
  place: Pick<LedgerEntry, 'file' | 'tensor'>,
  rows: number,
  fate: Fate,
  { config: { vocabSize, imageTokenId }, tokens }: TableReading,
): readonly LedgerEntry[] {
  const entries: LedgerEntry[] = [];
  const add = (begin: number, end: number, what: Fate) => {
    const last = Math.min(end, rows);
    if (begin < last) entries.push({ ...place, rows: [begin, last], ...what });
  };
  // as the last row of the table `<image>` is a token like others
  const image = imageTokenId === vocabSize - 1 ? Infinity : imageTokenId;
  add(0, Math.min(image, vocabSize), fate);
  add(image, image + 1, { leftOut: 'image_row' });
  add(image + 1, vocabSize, fate);
  const padding = Math.max(vocabSize, Number.isFinite(image) ? image + 1 : 0);
  const mask = tokens?.maskTokenId ?? Infinity;
  add(padding, mask, { leftOut: 'padding_rows' });
  if (mask >= padding) add(mask, mask + 1, { leftOut: 'mask_row' });
  if (Number.isFinite(mask)) add(Math.max(padding, mask + 1), rows, { leftOut: 'padding_rows' });
  return entries.length === 1 && entries[0]!.leftOut === undefined ? [{ ...place, ...fate }] : entries;
}
