import { relative, resolve } from 'node:path';
import { Command } from 'commander';
import { bytesText } from '../../backends/bytes_text.ts';
import { cleanFolder, type Leftover } from '../bundle/clean.ts';
import type { Line } from '../../verify/text_table.ts';
import { table } from '../terminal/table.ts';
import { CLEAN_HELP } from './help/clean.ts';
import { printed, type Io } from './io.ts';
import { jsonOption } from './options.ts';

/** `pgconv clean`. */
export function cleanCommand(io: Io): Command {
  return new Command('clean')
    .description('List and remove what interrupted runs have left, where no process uses it.')
    .argument('[folder...]', 'folders that bundles were written into', ['.'])
    .option('--dry-run', 'list, and remove nothing')
    .addOption(jsonOption())
    .addHelpText('after', CLEAN_HELP)
    .action(async (folders: readonly string[], { dryRun, json: asJson }: { dryRun?: boolean; json?: boolean }) => {
      const leftovers: Leftover[] = [];
      for (const folder of new Set(folders.map((path) => resolve(path))))
        leftovers.push(...(await cleanFolder(folder, { dryRun: dryRun ?? false })));
      io.out(asJson ? printed('clean', { leftovers }) : summary(leftovers));
    });
}

function summary(leftovers: readonly Leftover[]): readonly Line[] {
  if (leftovers.length === 0) return ['nothing is left of interrupted runs'];
  const shown = (path: string) => relative(process.cwd(), path) || path;
  const rows = leftovers.map(({ path, kind, bytes, state, by }) => [
    shown(path),
    kind,
    bytesText(bytes),
    by === undefined ? state : `${state} by ${by}`,
  ]);
  const kept = leftovers.flatMap((leftover) => leftover.kept ?? []);
  const freed = leftovers.filter(({ state }) => state === 'removed').reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    table(['path', 'what', 'size', ''], rows, [2]),
    ...(kept.length === 0 ? [] : [`kept, for they were no part of a bundle: ${kept.map(shown).join(', ')}`]),
    ...(freed === 0 ? [] : [`${bytesText(freed)} freed`]),
  ];
}
