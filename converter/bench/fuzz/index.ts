import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { wholeNumber } from '../../cli/options.ts';
import { EXIT } from '../../errors.ts';
import { tableText } from '../../terminal/table.ts';
import { READERS } from './readers.ts';
import { caseOf, MOST_SECONDS, seedsOf, type FuzzReport } from './run_fuzz.ts';
import { watched } from './watched.ts';

interface Flags {
  readonly minutes: number;
  readonly from: number;
  readonly only?: string;
  readonly keep: string;
}

await new Command('npm run fuzz --')
  .description(
    'Gives every reader of files changed ones, which it is to take, or to refuse by an error that has a code, within seconds and without much memory. Cases follow from their numbers and from the seeds in fixtures/.',
  )
  .option('--minutes <n>', 'for all of them together', wholeNumber(1), 10)
  .option('--from <n>', 'number of the first case', wholeNumber(0), 1)
  .addOption(new Option('--only <reader>', 'this alone').choices(READERS.map(({ name }) => name)))
  .option('--keep <dir>', 'folder for files that make a problem', 'tmp/fuzz')
  .action(main)
  .parseAsync();

async function main({ minutes, from, only, keep }: Flags): Promise<void> {
  const readers = READERS.filter(({ name }) => only === undefined || name === only);
  const reports: FuzzReport[] = [];
  for (const reader of readers) {
    const report = await watched({
      reader: reader.name,
      from,
      milliseconds: (minutes * 60_000) / readers.length,
      child: fileURLToPath(new URL('child.js', import.meta.url)),
      patience: 2000 * MOST_SECONDS,
    });
    reports.push(report);
    for (const { number } of report.problems) {
      await mkdir(keep, { recursive: true });
      await writeFile(join(keep, `${reader.name}-${number}`), caseOf(reader, seedsOf(reader, '.'), number));
    }
  }
  console.log(
    tableText(
      ['reader', 'cases', 'taken', 'refused', 'codes', 'slowest', 'problems'],
      reports.map(({ reader, cases, taken, refused, slowestSeconds, problems }) => [
        reader,
        cases,
        taken,
        cases - taken - problems.length,
        [...refused.keys()].toSorted().join(' '),
        `${slowestSeconds.toFixed(2)} s`,
        problems.length,
      ]),
      [1, 2, 3, 5, 6],
    ),
  );
  const problems = reports.flatMap((report) => report.problems);
  for (const { reader, number, what } of problems)
    console.log(`${reader}, case ${number} (${join(keep, `${reader}-${number}`)}): ${what}`);
  process.exitCode = problems.length > 0 ? EXIT.parityFailed : EXIT.done;
}
