/** How ids are read. */
export interface IdOptions {
  /** The id of `<loc0000>`; default 256000, as in every published PaliGemma. The 1024 locations follow each other. */
  readonly locationId?: number;
  /** The id of `<seg000>`; default 257024, as in every published PaliGemma. The 128 codes follow each other. */
  readonly segmentId?: number;
  /** The text of other ids, such as those of names; default none is read. Special tokens are its to leave out. */
  readonly decode?: (ids: number[]) => string;
}

/** Ids of one answer; a batch of one row, as `generate` of transformers.js gives, is as good. */
export type AnswerIds = Iterable<number | bigint | Iterable<number | bigint>>;

/** The text of an answer that is given as ids. */
export function idsText(
  ids: AnswerIds,
  { locationId = 256_000, segmentId = 257_024, decode = () => '' }: IdOptions,
): string {
  let text = '';
  let words: number[] = [];
  const endWords = () => {
    if (words.length > 0) text += decode(words);
    words = [];
  };
  for (const id of [...ids].flatMap((each) => (typeof each === 'object' ? [...each] : each)).map(Number)) {
    const token = tokenOf(id - locationId, 1024, 'loc', 4) ?? tokenOf(id - segmentId, 128, 'seg', 3);
    if (token === undefined) {
      words.push(id);
      continue;
    }
    endWords();
    text += token;
  }
  endWords();
  return text;
}

function tokenOf(index: number, count: number, kind: string, digits: number): string | undefined {
  return index >= 0 && index < count ? `<${kind}${String(index).padStart(digits, '0')}>` : undefined;
}
