import type { Check } from '../../../verify/check.ts';
import type { MetricName } from '../../../verify/tolerances.ts';
import type { GpuFacts } from '../../../backends/client/gpu_facts.ts';
import { jobName, type Outcome } from './job.ts';

/** What is checked of the codes and not of the GPU: what they cost, on random tokens, and on weights never trained. */
const OF_CODES = 'logits against the original';

export interface Parity {
  /** When and on what, for people: `2026-11-29, Node 22`. */
  readonly title: string;
  readonly gpu: GpuFacts;
  readonly seconds: number;
  readonly outcomes: readonly Outcome[];
}

/** Whether a bundle computes on the GPU what it should; what codes cost is not asked. A refused one has no verdict. */
export function isSound({ report, refused }: Outcome): boolean {
  return refused !== undefined || (report !== undefined && ofTheGpu(report.checks).every(({ passed }) => passed));
}

/** The results as a page in Markdown, the same for the same outcomes in any order. */
export function parityPage({ title, gpu, seconds, outcomes }: Parity): string {
  const sorted = outcomes.toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)));
  const ran = sorted.filter(({ refused }) => refused === undefined);
  const sound = ran.filter(isSound);
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = gpu.limits;
  return `# Parity on a GPU

Written by \`npm run parity:gpu\`. ${title}, ${seconds.toFixed(0)} s.

- Vendor, architecture, device: ${[gpu.vendor, gpu.architecture, gpu.device].join(', ')}
- Driver: ${gpu.description}
- Features: ${gpu.features.join(', ')}
- WGSL: ${gpu.language.join(', ')}
- Limits: ${Object.entries({ maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize })
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')}

**${sound.length} of ${ran.length} bundles compute what they should.** Floats are compared with what the original
implementation recorded, or with the evaluator in float64 where it recorded nothing; codes with the model that they make, in float64. A cell has the largest value of all cases.
What codes cost against the original is a figure of the codes and not of this GPU, and random weights keep no quality: it is told, and not
judged.

| bundle | dtype | checks | image features, rel L2 | logits, rel L2 | logits, max abs | mean KLD | greedy tokens | codes, mean KLD | seconds | |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|
${ran.map(row).join('\n')}
${ran.flatMap(failures).join('\n')}`
    .trimEnd()
    .concat('\n');
}

function keyOf(outcome: Outcome): string {
  return `${jobName(outcome)} ${outcome.precision}`;
}

function ofTheGpu(checks: readonly Check[]): readonly Check[] {
  return checks.filter(({ output }) => output !== OF_CODES);
}

function row(outcome: Outcome): string {
  const { precision, report, seconds } = outcome;
  const checks = ofTheGpu(report?.checks ?? []);
  const largest = (metric: MetricName, of: readonly Check[], output: RegExp) => {
    const values = of.filter((check) => output.test(check.output)).flatMap(({ metrics }) => metrics[metric] ?? []);
    return values.length === 0 ? '' : Math.max(...values).toExponential(1);
  };
  // of the graph, not of a bundle against itself
  const logits = /^\w+ logits$/;
  const tokens = checks
    .filter(({ output }) => output === 'greedy tokens')
    .flatMap(({ metrics }) => metrics.sameTop1 ?? []);
  const cells = [
    jobName(outcome),
    precision,
    report ? `${checks.filter(({ passed }) => passed).length} of ${checks.length}` : '',
    largest('relativeL2', checks, /^image_features$/),
    largest('relativeL2', checks, logits),
    largest('maxAbs', checks, logits),
    largest('meanKld', checks, logits),
    tokens.length === 0 ? '' : `${(100 * Math.min(...tokens)).toFixed(1)} %`,
    largest('meanKld', report?.checks ?? [], new RegExp(`^${OF_CODES}$`)),
    seconds.toFixed(1),
    isSound(outcome) ? 'ok' : '**FAILED**',
  ];
  return `| ${cells.join(' | ')} |`;
}

/** What is wrong with a bundle, a line each. */
function failures(outcome: Outcome): readonly string[] {
  const name = `\n${jobName(outcome)} ${outcome.precision}: `;
  if (outcome.error !== undefined) return [`${name}${outcome.error}`];
  return ofTheGpu(outcome.report?.checks ?? [])
    .filter(({ passed }) => !passed)
    .map(({ case: of, output, bounds, note }) => {
      const broken = bounds
        .filter(({ passed }) => !passed)
        .map(({ metric, value, atMost, atLeast }) => `${metric} ${value.toPrecision(2)}, limit ${atMost ?? atLeast}`);
      return `${name}${of}, ${output}: ${[...broken, note].filter(Boolean).join('; ')}`;
    });
}
