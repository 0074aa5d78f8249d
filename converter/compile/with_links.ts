import { checksLink, weightsLink, type Link } from '../../verify/links.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import type { WeightsReport } from '../../verify/weights/verify_weights.ts';

export interface LinksFound {
  readonly weights: WeightsReport | undefined;
  /** Why there are no weights to tell of. */
  readonly without: string;
  /** Whether the bundle was held against a recording, and not against the checkpoint. */
  readonly isRecording?: boolean;
  /** What it was held against beside the checkpoint. */
  readonly recorded?: VerifyReport | undefined;
}

/** A report of what a bundle computes, with what else is known of it; it has passed when no link failed. */
export function withLinks(
  report: VerifyReport,
  { weights, without, isRecording = false, recorded }: LinksFound,
): VerifyReport {
  const compared = linkOf(report);
  const program: Link = isRecording ? { verdict: 'not tried', reason: 'no checkpoint was given' } : compared;
  const original: Link = isRecording
    ? compared
    : recorded
      ? linkOf(recorded)
      : { verdict: 'not tried', reason: 'no recording of its numbers was given (pgconv record)' };
  return {
    ...report,
    passed: report.passed && weights?.passed !== false,
    links: { weights: weightsLink(weights, without), program, original },
    ...(weights && { weights }),
  };
}

function linkOf({ checks, inParts, partsUncompared }: VerifyReport): Link {
  const link = checksLink(checks);
  if (!inParts) return link;
  return {
    ...link,
    reason: ['in parts: no graph was run as a whole', ...(partsUncompared === undefined ? [] : [partsUncompared])].join(
      '; ',
    ),
  };
}
