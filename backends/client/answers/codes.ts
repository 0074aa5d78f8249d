/** Codes that make a mask, `<segNNN>`. */
export const MASK_CODES = 16;
/** Codes that there are. */
export const CODEBOOK = 128;

/** What is wrong with the codes of a mask, in words; undefined where nothing is. */
export function codesProblem(codes: readonly number[]): string | undefined {
  if (codes.length !== MASK_CODES) return `${codes.length} segment tokens, where a mask has ${MASK_CODES}`;
  if (codes.some((code) => code >= CODEBOOK)) return `a segment token above ${CODEBOOK - 1}`;
  const wrong = codes.find((code) => !Number.isInteger(code) || code < 0);
  return wrong === undefined ? undefined : `a segment token ${String(wrong)}, which is no whole number`;
}
