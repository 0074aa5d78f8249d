import type { ModuleChange } from '../models/adapters/index.ts';
import type { TextTable } from '../../verify/text_table.ts';
import { table } from '../terminal/table.ts';

/** What adapters did to each module, for people. */
export function changesTable(changes: readonly ModuleChange[]): TextTable {
  return table(
    ['adapter', 'module', 'change', 'rank', 'norm of the change'],
    changes.map((c) => [c.adapter, c.module, c.kind, c.rank ?? '', c.norm.toPrecision(4)]),
    [3, 4],
  );
}
