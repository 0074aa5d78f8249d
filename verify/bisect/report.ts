import type { Link } from '../links.ts';
import type { Bisection, PassFault } from './bisect.ts';

/**
 * What a bisection found, for people: one line.
 * @param weights the link of the stored weights, which come behind all passes; absent where nothing is known of them
 */
export function bisectionText(
  { case: verifyCase, passes, fault }: Bisection,
  passed: boolean,
  weights?: Pick<Link, 'verdict' | 'reason'>,
): string {
  if (fault) return `pass ${fault.pass} changed values: ${faultText(fault)}; ${beforeText(passes.length - 1)}`;
  const compared = passes.filter(({ calls }) => calls > 0).length;
  return (
    `every pass kept the values (${passes.length} looked at, ${compared} evaluated, on the first row of "${verifyCase}")` +
    (passed ? '' : `: what differs ${behindPasses(weights)}`)
  );
}

/** Where a fault can be that no pass made: a link that held in part only leaves weights open. */
export function behindPasses(weights: Pick<Link, 'verdict' | 'reason'> | undefined): string {
  if (weights?.verdict === 'failed') return 'is in the stored weights';
  return weights?.verdict === 'held' && weights.reason === undefined
    ? 'came in lowering or in the runtime'
    : 'came in the stored weights, which were not all compared, in lowering or in the runtime';
}

function faultText({ graph, call, place, value, relativeL2, limit, note }: PassFault): string {
  const where = [`graph ${graph}`, call, call === undefined ? place : `stage ${place}`].filter(Boolean).join(', ');
  const first = value ? `, beginning with %${value.name} = ${value.op}` : '';
  const allowed = limit === 0 ? 'none is allowed' : `at most ${limit.toExponential(1)} is allowed`;
  return `${where}${first}: ${note ?? `relativeL2 ${relativeL2.toExponential(1)}, ${allowed}`}`;
}

function beforeText(count: number): string {
  if (count === 0) return 'it is the first of all';
  return count === 1 ? 'the pass before it kept them' : `the ${count} runs of passes before it kept them`;
}
