import type { WeightsReport } from './weights/verify_weights.ts';

export type LinkVerdict = 'held' | 'failed' | 'not tried';

/** What one comparison said of a bundle. */
export interface Link {
  readonly verdict: LinkVerdict;
  /** Why it was not tried, or what of it was not. */
  readonly reason?: string;
  /** Of weights: stored tensors that were compared, and their elements. */
  readonly tensors?: number;
  readonly elements?: number;
  /** Of programs and originals: comparisons within bounds, and all. */
  readonly passed?: number;
  readonly checks?: number;
}

/**
 * What ties a bundle to its original, link by link: `weights`, every stored element to the checkpoint's own; `program`,
 * what the bundle computes in its runtime to the reference of the checkpoint; `original`, the same to a recording of
 * what another implementation computes. None of them shows what another does.
 */
export interface Links {
  readonly weights: Link;
  readonly program: Link;
  readonly original: Link;
}

export const LINKS = ['weights', 'program', 'original'] as const satisfies readonly (keyof Links)[];

/** No link was tried. */
export function untried(reason: string): Links {
  const link: Link = { verdict: 'not tried', reason };
  return { weights: link, program: link, original: link };
}

/** The link of the weights; `reason` says why there is no report. */
export function weightsLink(report: WeightsReport | undefined, reason = ''): Link {
  if (!report) return { verdict: 'not tried', reason };
  const { passed, tensors, elements, unknown } = report;
  const why = report.unknownBecause ?? 'whose codes were chosen by activations that are not here';
  return {
    verdict: passed ? 'held' : 'failed',
    ...(unknown.length > 0 && {
      reason: `not tried for ${unknown.length} weights, ${why}`,
    }),
    tensors,
    elements,
  };
}

/** The link of what a bundle computes, by its checks. */
export function checksLink(checks: readonly { readonly passed: boolean }[]): Link {
  const passed = checks.filter((check) => check.passed).length;
  return { verdict: passed === checks.length ? 'held' : 'failed', passed, checks: checks.length };
}

/** What each link compares, and the figures of it. */
const FIGURES: Readonly<Record<keyof Links, (link: Link) => string>> = {
  weights: ({ tensors, elements }) => `${tensors} stored tensors, ${elements} elements against the checkpoint's own`,
  program: ({ passed, checks }) => `${passed} of ${checks} comparisons of the bundle in its runtime with the reference`,
  original: ({ passed, checks }) => `${passed} of ${checks} comparisons with a recording`,
};

/** Of a link what there is to know beside its verdict: its figures, or why it was not tried. */
export function linkFigures(name: keyof Links, link: Link): string {
  const { verdict, reason } = link;
  if (verdict === 'not tried') return reason ?? '';
  return `${FIGURES[name](link)}${reason === undefined ? '' : `; ${reason}`}`;
}

/** A sentence for each link, in the words of every report, manifest and README. */
export function linkLines(links: Links): readonly string[] {
  return LINKS.map((name) => {
    const { verdict } = links[name];
    return `${name}: ${verdict}${verdict === 'not tried' ? ':' : ','} ${linkFigures(name, links[name])}`;
  });
}
