/** Of samples in their order: whether each judges the codes that the others choose. */
export interface Judges {
  readonly judges: readonly boolean[];
  /** Pictures on either side, copies counted once. */
  readonly pictures: { readonly chose: number; readonly judged: number };
}

/**
 * Every fourth picture judges, and of fewer the last; of one alone none does, and so nothing is chosen. What is shown
 * of one picture, copies of it and other prompts, stands on one side: it would judge what it chose itself.
 */
export function judgesAmong(samples: readonly { readonly picture: string }[]): Judges {
  const pictures = [...new Set(samples.map(({ picture }) => picture))];
  const held = new Set(
    pictures.filter((_, i) => i % 4 === 3 || (pictures.length > 1 && pictures.length < 4 && i === pictures.length - 1)),
  );
  return {
    judges: samples.map(({ picture }) => held.has(picture)),
    pictures: { chose: pictures.length - held.size, judged: held.size },
  };
}
