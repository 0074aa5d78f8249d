import { QUALITY_OUTPUT } from '../../verify/agreement_tally.ts';
import { behindPasses } from '../../verify/bisect/report.ts';
import type { Link } from '../../verify/links.ts';
import type { VerifyReport } from '../../verify/verify.ts';

/** What somebody may do about a bundle that failed, most likely first: a sentence each. */
export function adviceOf(report: VerifyReport): readonly string[] {
  const { links, weights, bisection, checks, precision, baseline } = report;
  const failed = checks.filter(({ passed }) => !passed);
  const computesWrong = failed.some((check) => !isQuality(check));
  const advice: string[] = [];
  const wrongWeights = links?.weights.verdict === 'failed';
  if (wrongWeights) advice.push(ofWeights(weights));
  // wrong weights compute something else by themselves: nothing is known of the rest before they are right
  if (computesWrong && links?.program.verdict === 'failed' && (!wrongWeights || bisection?.fault))
    advice.push(...ofProgram(bisection, links.weights));
  if (failed.some(isQuality))
    advice.push(
      `The codes of ${precision} cost more than it may lose: convert with --calibrate on pictures like yours, with --mixed auto, or to int8; pgconv quality compares them.`,
    );
  if (precision === 'fp16' && failed.some(({ metrics }) => (metrics.nonFinite ?? 0) > 0))
    advice.push('Values beyond 65504 do not fit f16: convert with --calibrate, which keeps what comes near in f32.');
  if (links?.original.verdict === 'failed' && links.program.verdict === 'held')
    advice.push(
      `The bundle computes what pgconv reads from the checkpoint, and the original computes something else: ${OTHER_ORIGINAL}.`,
    );
  if (links?.original.verdict === 'failed' && links.program.verdict === 'not tried')
    advice.push(
      `Whether the bundle computes what its checkpoint says was not tried: run pgconv verify without the recording, which tells a fault of the bundle from one of the comparison. Where that passes, ${OTHER_ORIGINAL}.`,
    );
  if (baseline?.passed === false)
    advice.push(
      'Figures are worse than they were: compare the versions of pgconv, of the runtime and of the checkpoint with those of the baseline. If it is meant to be so, --update-baseline writes the new figures.',
    );
  return advice;
}

const OTHER_ORIGINAL =
  'look whether --reference (huggingface or bigvision) is the implementation that was recorded, and whether the adapters are the same';

function ofWeights(weights: VerifyReport['weights']): string {
  const [first] = weights?.differences ?? [];
  const named = first ? ` (${first.tensor} in ${first.file} first)` : '';
  return `The files are whole, but what they hold is not the checkpoint${named}: convert it again, and look whether --against names the checkpoint (and --adapter the adapters) that the bundle was made of. What else differs may follow from that.`;
}

function ofProgram(bisection: VerifyReport['bisection'], weights: Link): readonly string[] {
  if (bisection?.fault)
    return [
      `The pass ${bisection.fault.pass} changes what the program computes, which is a fault of pgconv: please report it, with this report.`,
    ];
  const held = weights.verdict === 'held' && weights.reason === undefined;
  const compare = held
    ? []
    : [
        'The stored weights were not all compared with a checkpoint’s: verify against the checkpoint that was converted, which does that.',
      ];
  if (bisection)
    return [
      ...compare,
      `Every pass keeps the values, so what differs ${behindPasses(weights)}: try another --device, or another version of the runtime, and report which of them differ.`,
    ];
  return [
    ...compare,
    `${held ? 'The weights are the checkpoint’s, so what differs is what is done with them. ' : ''}Run pgconv verify --bisect: it names the first pass that changes values, or says that none does; then try another --device.`,
  ];
}

/** What codes may cost, as against what must be equal but for rounding. */
function isQuality({ output }: { readonly output: string }): boolean {
  return output === QUALITY_OUTPUT;
}
