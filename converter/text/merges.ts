import { BadInputError } from '../errors.ts';
import type { SentencePieceModel } from './sentencepiece.ts';

interface Candidate {
  readonly left: string;
  readonly right: string;
  readonly score: number;
  readonly leftLength: number;
  readonly rightLength: number;
}

/**
 * The merge list of a SentencePiece BPE model: every split of every normal piece into two pieces, best score first,
 * then longer left and longer right part (in code points), as transformers' `generate_merges` orders them. Where pieces
 * of equal score share a part, the order is such that the leftmost merges first, as SentencePiece does it and
 * transformers does not. SentencePiece merges into and from normal pieces only: user-defined ones are cut out of the
 * text before.
 * @param vocab what the pieces are called in tokenizer.json, with their ids; it may lack pieces.
 * @throws BadInputError for equal scores that no order of merges is right for.
 */
export function mergesOf({ file, pieces }: SentencePieceModel, vocab: ReadonlyMap<string, number>): [string, string][] {
  const frozen = new Set(pieces.flatMap((piece) => (piece.kind === 'normal' ? [] : [piece.text])));
  const mergeable = (text: string) => vocab.has(text) && !frozen.has(text);
  const candidates: Candidate[] = [];
  for (const { text, score, kind } of pieces) {
    if (kind !== 'normal') continue;
    const points = [...text];
    const splits: Candidate[] = [];
    for (let length = 1, at = points[0]!.length; length < points.length; at += points[length++]!.length) {
      const [left, right] = [text.slice(0, at), text.slice(at)];
      if (mergeable(left) && mergeable(right))
        splits.push({ left, right, score, leftLength: length, rightLength: points.length - length });
    }
    candidates.push(...splits.toSorted((a, b) => vocab.get(a.left)! - vocab.get(b.left)!));
  }
  // Stable: equals keep the order of the vocabulary.
  const sorted = candidates.toSorted(
    (a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength,
  );
  return leftmostFirst(sorted, file).map(({ left, right }) => [left, right]);
}

/** In a b c, where ab and bc have one score, ab comes first: so it must in the list. */
function leftmostFirst(sorted: readonly Candidate[], file: string): Candidate[] {
  const ordered: Candidate[] = [];
  for (let start = 0, end = 0; start < sorted.length; start = end) {
    while (end < sorted.length && sorted[end]!.score === sorted[start]!.score) end++;
    const tied = sorted.slice(start, end);
    const isOnePiece = tied.every((merge) => pieceOf(merge) === pieceOf(tied[0]!));
    ordered.push(...(isOnePiece ? tied : settle(tied, file)));
  }
  return ordered;
}

/** Trained models have no equal scores at all; more than this is no model to convert. */
const MAX_TIED = 1000;

function settle(tied: readonly Candidate[], file: string): Candidate[] {
  const fail = (what: string): never => {
    throw new BadInputError(
      'unsupported_tokenizer',
      `${what}: which merges first depends on the text, which tokenizer.json cannot say`,
      { file, hint: 'take the tokenizer.model as it was trained, or the tokenizer.json of the model' },
    );
  };
  if (tied.length > MAX_TIED) fail(`${tied.length} pairs of pieces have the score ${tied[0]!.score}`);
  const byRight = new Map<string, Candidate[]>();
  for (const merge of tied) byRight.set(merge.right, [...(byRight.get(merge.right) ?? []), merge]);
  const [begun, done] = [new Set<Candidate>(), new Set<Candidate>()];
  const ordered: Candidate[] = [];
  const visit = (merge: Candidate, after: Candidate): void => {
    if (done.has(merge)) return;
    if (begun.has(merge))
      fail(
        `the pieces ${JSON.stringify(pieceOf(merge))} and ${JSON.stringify(pieceOf(after))} have one score, ${merge.score}`,
      );
    begun.add(merge);
    for (const before of byRight.get(merge.left) ?? []) if (pieceOf(before) !== pieceOf(merge)) visit(before, merge);
    done.add(merge);
    ordered.push(merge);
  };
  for (const merge of tied) visit(merge, merge);
  return ordered;
}

function pieceOf({ left, right }: Candidate): string {
  return left + right;
}
