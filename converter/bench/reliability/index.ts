import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { EXIT } from '../../errors.ts';
import { wholeNumber } from '../../cli/options.ts';
import { tableText } from '../../terminal/table.ts';
import { full, interrupted, killed, raced, resumed, suspended, type Outcome } from './promises.ts';

/** Each with the tries of a full run. */
const PROMISES = {
  killed: { run: killed, runs: 300 },
  resumed: { run: resumed, runs: 60 },
  full: { run: full, runs: 40 },
  interrupted: { run: interrupted, runs: 100 },
  raced: { run: raced, runs: 100 },
  suspended: { run: suspended, runs: 20 },
} as const;
type Name = keyof typeof PROMISES;

const program = new Command('npm run reliability --')
  .description(
    'Breaks into conversions and looks at what is left: the promises of docs/reliability.md. All of them take an hour and 12 GB of disk.',
  )
  .addOption(new Option('--only <promise>', 'this alone').choices(Object.keys(PROMISES)))
  .option('--runs <n>', 'tries of each (default: those of docs/reliability.md)', wholeNumber(1))
  .option('--dir <dir>', 'folder to work in', 'tmp/reliability')
  .parse();
const { only, runs, dir } = program.opts<{ only?: Name; runs?: number; dir: string }>();
const folder = resolve(dir);
const log = (line: string) => void process.stderr.write(`${line}\n`);
const outcomes: Outcome[] = [];
for (const name of only ? [only] : (Object.keys(PROMISES) as Name[])) {
  const { run, runs: usual } = PROMISES[name];
  await mkdir(folder, { recursive: true });
  log(`${name}: ${runs ?? usual} tries`);
  outcomes.push(await run({ dir: folder, runs: runs ?? usual, log }));
}
await rm(folder, { recursive: true, force: true });
console.log(
  tableText(
    ['', 'what', 'tried', 'violations', 'measured'],
    outcomes.map(({ promise, what, tried, violations, measured }) => [
      promise,
      what,
      tried,
      violations.length,
      measured,
    ]),
    [2, 3],
  ),
);
for (const { promise, violations } of outcomes)
  for (const violation of violations) console.log(`${promise}: ${violation}`);
process.exitCode = outcomes.some(({ violations }) => violations.length > 0) ? EXIT.parityFailed : EXIT.done;
