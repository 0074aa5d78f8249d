import type { Piece } from './sentencepiece.ts';

interface Candidate {
  readonly left: string;
  readonly right: string;
  readonly score: number;
  readonly leftLength: number;
  readonly rightLength: number;
}

/**
 * The merge list of a SentencePiece BPE model: every split of every normal piece into two pieces, best score first, then
 * longer left and longer right part (in code points), as transformers' `generate_merges` orders them.
 * SentencePiece merges into and from normal pieces only: user-defined ones are cut out of the text before.
 * @param vocab what the pieces are called in tokenizer.json, with their ids; it may lack pieces.
 */
export function mergesOf(pieces: readonly Piece[], vocab: ReadonlyMap<string, number>): [string, string][] {
  const frozen = new Set(pieces.flatMap((piece) => (piece.kind === 'normal' ? [] : [piece.text])));
  const mergeable = (text: string) => vocab.has(text) && !frozen.has(text);
  const candidates: Candidate[] = [];
  for (const { text, score, kind } of pieces) {
    if (kind !== 'normal') continue;
    const points = [...text];
    const splits: Candidate[] = [];
    for (let length = 1, at = points[0]!.length; length < points.length; at += points[length++]!.length) {
      const [left, right] = [text.slice(0, at), text.slice(at)];
      if (mergeable(left) && mergeable(right)) splits.push({ left, right, score, leftLength: length, rightLength: points.length - length });
    }
    candidates.push(...splits.toSorted((a, b) => vocab.get(a.left)! - vocab.get(b.left)!));
  }
  // Stable: equals keep the order of the vocabulary.
  return candidates
    .toSorted((a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength)
    .map(({ left, right }) => [left, right]);
}
