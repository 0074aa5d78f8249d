import { LEFT_OUT, type LedgerEntry } from '../models/ledger/ledger.ts';
import type { TextTable } from '../../verify/text_table.ts';
import { table } from '../terminal/table.ts';

/** How many names a line shows. */
const NAMES = 3;

/** What became of a checkpoint's tensors and files, for people: what was used by number, all else by reason. */
export function ledgerTable(ledger: readonly LedgerEntry[]): TextTable {
  const lines = new Map<string, { readonly what: string; readonly entries: LedgerEntry[] }>();
  for (const entry of ledger) {
    const [fate, what] = fateOf(entry);
    const line = lines.get(`${fate} ${what}`) ?? { what, entries: [] };
    lines.set(`${fate} ${what}`, line);
    line.entries.push(entry);
  }
  const rows = [...lines].map(([key, { what, entries }]) => [
    key.slice(0, key.length - what.length - 1),
    what,
    entries.length,
    namesOf(entries),
  ]);
  return table(['ledger', 'what', 'entries', 'which'], rows, [2]);
}

function fateOf({ tensor, used, equal, leftOut }: LedgerEntry): readonly [string, string] {
  const of = tensor === undefined ? 'files' : 'tensors';
  if (leftOut) return ['left out', LEFT_OUT[leftOut]];
  if (equal) return ['equal', `${equal.to}${equal.compared ? '' : ', not compared yet'}`];
  return used ? ['used', of] : ['?', of];
}

function namesOf(entries: readonly LedgerEntry[]): string {
  const isUsed = entries[0]?.used !== undefined && entries[0].tensor !== undefined;
  if (isUsed) return '';
  const names = entries.map(({ file, tensor, rows }) => `${tensor ?? file}${rows ? ` [${rows[0]}, ${rows[1]})` : ''}`);
  return `${names.slice(0, NAMES).join(', ')}${names.length > NAMES ? `, and ${names.length - NAMES} more` : ''}`;
}
