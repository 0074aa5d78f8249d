import type { Manifest } from '../bundle/manifest.ts';
import { BadInputError } from '../errors.ts';
import type { LedgerEntry } from '../models/ledger/ledger.ts';
import type { OpenModel } from '../models/open_model.ts';

/**
 * Holds what a bundle says of its checkpoint against what became of the checkpoint when it was read for this
 * verification: every tensor that both name. Another spelling of the same model has other names, and files may have
 * come or gone beside the weights.
 * @throws BadInputError for the first tensor of which the two tell otherwise
 */
export function checkLedger(
  { checkpoint, ledger }: Pick<OpenModel, 'checkpoint' | 'ledger'>,
  manifest: Manifest,
): void {
  const stated = fatesByTensor(manifest.ledger);
  const found = fatesByTensor(ledger);
  for (const [tensor, before] of stated) {
    const now = found.get(tensor);
    if (now === undefined || now === before) continue;
    throw new BadInputError(
      'ledger_differs',
      `"${tensor}" is ${now} in this reading of the checkpoint; the bundle's ledger says ${before}`,
      {
        file: checkpoint.path,
        tensor,
        hint: 'convert again, from the checkpoint and with the tokenizer that are meant',
      },
    );
  }
}

/** What is said of each tensor, wherever it lies: a checkpoint may have been saved again in other files. */
function fatesByTensor(ledger: readonly LedgerEntry[]): ReadonlyMap<string, string> {
  const fates = new Map<string, string>();
  for (const { tensor, rows, used, equal, leftOut } of ledger) {
    if (tensor === undefined) continue;
    const what = leftOut ? `left out (${leftOut})` : equal ? `equal to ${equal.to}` : `used as ${used?.join(', ')}`;
    fates.set(
      tensor,
      [fates.get(tensor), `${what}${rows ? ` in rows ${rows.join('-')}` : ''}`].filter(Boolean).join('; '),
    );
  }
  return fates;
}
