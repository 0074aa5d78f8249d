import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { backendNames, findBackend } from '../../../backends/find_backend.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import { wholeNumber } from '../../cli/options.ts';
import { EXIT } from '../../errors.ts';
import { PRECISIONS } from '../../precision/precision.ts';
import { describeGpu } from './describe_gpu.ts';
import { jobName, type Outcome } from './job.ts';
import { isSound, parityPage } from './parity_page.ts';
import { planJobs } from './plan_jobs.ts';
import { runJobs } from './run_jobs.ts';

interface Flags {
  readonly fixtures: readonly string[];
  readonly backends: readonly string[];
  readonly dtypes: readonly Precision[];
  readonly parallel: number;
  readonly seconds: number;
  readonly markdown: string;
  readonly json?: string;
}

const listed = (text: string) => text.split(',');
const flags = new Command('npm run parity:gpu --')
  .description(
    'Makes bundles of fixtures in every backend that runs on WebGPU and verifies each on the GPU that Dawn finds; writes a page with the device’s name. Exits with 1 when one does not compute what it should.',
  )
  .option('--fixtures <name,...>', 'folders of fixtures/', listed, ['pg1-tiny', 'pg2-tiny', 'shapes'])
  .option('--backends <name,...>', 'backends', listed, [...backendNames()])
  .option('--dtypes <name,...>', 'precisions', (text) => listed(text).map(knownPrecision), [
    'fp32',
    'fp16',
    'int8',
    'int4',
  ])
  .option('--parallel <n>', 'processes at a time', wholeNumber(1), Math.min(12, availableParallelism()))
  .option('--seconds <n>', 'what is not done by then is ended, and told as failed', wholeNumber(1), 360)
  .option('--markdown <file>', 'the page', 'docs/gpu-parity.md')
  .option('--json <file>', 'all reports, written anew as each comes')
  .parse()
  .opts<Flags>();

process.exit(await main(flags));

async function main({ fixtures, backends, dtypes, parallel, seconds, markdown, json }: Flags): Promise<number> {
  const started = performance.now();
  const gpu = await describeGpu();
  const jobs = planJobs(fixtures, await Promise.all(backends.map(findBackend)), dtypes);
  console.error(`${[gpu.vendor, gpu.architecture, gpu.device, gpu.description].join(', ')}; ${jobs.length} jobs`);
  const outcomes: Outcome[] = [];
  const write = async () => {
    const title = `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${process.platform} ${process.arch}`;
    const parity = { title, gpu, seconds: (performance.now() - started) / 1000, outcomes };
    await writeFile(markdown, parityPage(parity));
    if (json !== undefined) await writeFile(json, jsonOf(parity));
  };
  let writing = Promise.resolve();
  await runJobs(jobs, {
    worker: fileURLToPath(new URL('worker.js', import.meta.url)),
    parallel,
    seconds,
    onOutcome: (outcome) => {
      outcomes.push(outcome);
      const verdict = outcome.refused ?? outcome.error ?? (isSound(outcome) ? 'ok' : 'FAILED');
      console.error(`${jobName(outcome)} ${outcome.precision}: ${verdict}, ${outcome.seconds.toFixed(1)} s`);
      return (writing = writing.then(write));
    },
  });
  const failed = outcomes.filter((outcome) => !isSound(outcome));
  console.log(`${outcomes.length - failed.length} of ${outcomes.length} as they should be; ${markdown}`);
  return failed.length === 0 ? EXIT.done : EXIT.parityFailed;
}

/** Numbers that JSON does not have are written as strings, never as null. */
function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, (_, each: unknown) => (typeof each === 'number' && !Number.isFinite(each) ? String(each) : each))}\n`;
}

function knownPrecision(text: string): Precision {
  const known = PRECISIONS.find((name) => name === text);
  if (!known) throw new InvalidArgumentError(`choose from ${PRECISIONS.join(', ')}.`);
  return known;
}
