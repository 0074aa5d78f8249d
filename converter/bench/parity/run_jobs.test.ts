import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../../checkpoints/testing/temp_folder.ts';
import type { Job, Outcome } from './job.ts';
import { runJobs } from './run_jobs.ts';

/** Tells its precisions; in `crash` it ends before the last one, in `hang` it tells nothing and does not end. */
const WORKER = `
const { fixture, backend, precisions } = JSON.parse(process.argv[2]);
const tell = (precision) => new Promise((told) => process.send({ outcome: { fixture, backend, precision, seconds: 1 } }, told));
const told = { sound: 2, crash: 1, hang: 0 }[fixture];
for (const precision of precisions.slice(0, told)) await tell(precision);
if (fixture === 'crash') { console.error('a driver\\nlast words'); process.exit(7); }
if (fixture === 'hang') setInterval(() => {}, 1000);
else process.exit(0);
`;

async function run(jobs: readonly Job[], seconds: number) {
  const heard: Outcome[] = [];
  const outcomes = await runJobs(jobs, {
    worker: join(tempFolder({ 'worker.mjs': WORKER }), 'worker.mjs'),
    parallel: 2,
    seconds,
    onOutcome: async (outcome) => void heard.push(outcome),
  });
  expect(heard).toEqual(outcomes);
  return outcomes;
}

const job = (fixture: string): Job => ({ fixture, backend: 'b', precisions: ['fp32', 'int4'] });
const outcome = { backend: 'b', seconds: 1 };

test('every precision of every job has an outcome; a process that ends early is told with its last words', async () => {
  const outcomes = await run(['sound', 'crash', 'sound'].map(job), 60);
  expect(outcomes).toHaveLength(6);
  expect(outcomes.filter(({ error }) => error === undefined)).toHaveLength(5);
  expect(outcomes).toContainEqual({ ...outcome, fixture: 'crash', precision: 'fp32' });
  expect(outcomes).toContainEqual({
    ...outcome,
    fixture: 'crash',
    precision: 'int4',
    seconds: 0,
    error: 'its process ended with 7: last words',
  });
});

test('what is not done in time is ended and told, and so is what was never begun', async () => {
  const outcomes = await run(['hang', 'hang', 'sound'].map(job), 1);
  expect(
    outcomes
      .map(({ fixture, precision, error }) => `${fixture} ${precision}: ${error}`)
      .toSorted((a, b) => a.localeCompare(b)),
  ).toEqual([
    'hang fp32: not done in time',
    'hang fp32: not done in time',
    'hang int4: not done in time',
    'hang int4: not done in time',
    'sound fp32: not begun in time',
    'sound int4: not begun in time',
  ]);
});
