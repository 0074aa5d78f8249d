import type { RangeFinding } from '../../../ir/observe/f16_range.ts';
import { BadInputError } from '../../errors.ts';

export interface FindingPolicy {
  /** Activations that overflow and cannot be kept become ±Infinity, and are reported instead of failing the build. */
  readonly allowOverflow: boolean;
  /** Infinities and NaN that the f32 program computes itself fail the build. */
  readonly strict: boolean;
}

const WHAT: { readonly [K in RangeFinding['kind']]: (finding: RangeFinding) => string } = {
  overflow: ({ range }) => `reaches ${short(range.absMax)} of the 65504 that f16 holds`,
  scores: ({ range }) => `has scores that reach ${short(range.absMax)} of the 65504 that f16 holds`,
  underflow: ({ range }) => `is at most ${short(range.absMax)}, which is zero in f16`,
  'not finite': ({ range }) => `has ${range.nonFinite} infinities or NaN in f32`,
};

/**
 * One sentence, for warnings, for the manifest and for `inspect`: `decoder/lm.3.mul_1 reaches 1.2e+6 …: it stays f32.`
 */
export function describeFinding(finding: RangeFinding): string {
  const { graph, value, kind, kept } = finding;
  const outcome = kept
    ? ': it stays f32'
    : kind === 'not finite'
      ? ', as the original computes'
      : ', and cannot stay f32';
  return `${graph}/${value} ${WHAT[kind](finding)}${outcome}.`;
}

/**
 * @throws BadInputError `activation_overflow` or `activation_not_finite` naming the values, when the policy does not
 * allow them. What is kept is no failure, and neither are zeros.
 */
export function enforceFindings(findings: readonly RangeFinding[], { allowOverflow, strict }: FindingPolicy): void {
  const lost = findings.filter(({ kind, kept }) => !kept && (kind === 'overflow' || kind === 'scores'));
  if (lost.length > 0 && !allowOverflow)
    throw new BadInputError('activation_overflow', listed(lost), {
      tensor: nameOf(lost[0]!),
      hint: 'convert with --dtype fp32, or accept infinities with --allow-overflow and look at what verify says',
    });
  const damaged = findings.filter(({ kind }) => kind === 'not finite');
  if (damaged.length > 0 && strict)
    throw new BadInputError('activation_not_finite', listed(damaged), {
      tensor: nameOf(damaged[0]!),
      hint: 'look for NaN and infinities in the checkpoint, or convert without --strict',
    });
}

function nameOf({ graph, value }: RangeFinding): string {
  return `${graph}/${value}`;
}

function listed(findings: readonly RangeFinding[]): string {
  const shown = findings.slice(0, 8).map(describeFinding).join(' ');
  return findings.length > 8 ? `${shown} And ${findings.length - 8} more.` : shown;
}

function short(x: number): string {
  return String(Number(x.toPrecision(3)));
}
