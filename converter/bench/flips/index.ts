import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { wholeNumber } from '../../cli/options.ts';
import { tableText } from '../../terminal/table.ts';
import { pgconv } from '../child.ts';
import { checkpointOf, CLIENTS, type Client } from './clients.ts';
import { measureFlips, type FlipReport } from './measure_flips.ts';

/*
 * npm run flips: bits of small bundles are flipped one at a time, in any file that a client reads, and each client is
 * to refuse every one of them by the name of its file.
 */

interface Flags {
  readonly flips: number;
  readonly seed: number;
  readonly only?: string;
}

await new Command('npm run flips --')
  .description('Flips bits of bundles, one at a time, and counts what each client makes of them when it loads.')
  .option('--flips <n>', 'of each client', wholeNumber(1), 300)
  .option('--seed <n>', 'the same seed gives the same bits', wholeNumber(0), 1)
  .option('--only <part>', 'clients whose name has it: run, tfjs, runtime, integrity')
  .action(main)
  .parseAsync();

async function main({ flips, seed, only = '' }: Flags): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'pgconv-flips-'));
  const made = new Map<string, Promise<string>>();
  const bundleOf = (client: Client): Promise<string> => {
    const checkpoint = checkpointOf(client);
    const key = `${checkpoint} ${client.backend}`;
    const dir = join(root, String(made.size));
    const options = ['--to', client.backend, '--dtype', 'fp16', '--no-verify', '--out', dir];
    const known = made.get(key) ?? pgconv(['convert', checkpoint, ...options]).then(() => dir);
    made.set(key, known);
    return known;
  };
  const reports: FlipReport[] = [];
  try {
    for (const client of CLIENTS.filter(({ name }) => name.includes(only)))
      reports.push(await measureFlips(client, await bundleOf(client), flips, seed));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  console.log(
    tableText(
      ['client', 'files', 'flips', 'refused by name', 'otherwise', 'unnoticed'],
      reports.map((r) => [r.client, r.files, r.flips, r.named, r.otherwise.length, r.unnoticed.length]),
      [1, 2, 3, 4, 5],
    ),
  );
  for (const { client, otherwise, unnoticed } of reports) {
    for (const said of otherwise) console.log(`${client}: ${said}`);
    for (const { path, at, bit } of unnoticed) console.log(`${client}: unnoticed: ${path}, bit ${bit} of byte ${at}`);
  }
  if (reports.some(({ named }) => named < flips)) process.exitCode = 1;
}
