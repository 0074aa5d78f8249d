import { isOfObject, piecesOf, readPiece, type AnswerObject } from './objects.ts';

/**
 * The objects of an answer while it is generated, each as soon as the text behind it shows that it is complete: a `;`,
 * the first location of the next, or the end. What is no object is passed over; `parseAnswer` on the whole text tells.
 * @param pieces of text, as `generate` of both runtimes yields them
 */
export async function* answerObjects(pieces: AsyncIterable<string> | Iterable<string>): AsyncGenerator<AnswerObject> {
  let text = '';
  /** Where what was not told yet begins in the whole answer. */
  let start = 0;
  const told = function* (last: boolean): Generator<AnswerObject> {
    let end = 0;
    for (const piece of piecesOf(text)) {
      if (!last && piece.end === text.length) break;
      end = piece.end;
      const { object } = isOfObject(piece) ? readPiece(piece) : {};
      if (object) yield { ...object, offset: start + object.offset };
    }
    text = text.slice(end);
    start += end;
  };
  for await (const piece of pieces) {
    text += piece;
    if (/[;>]/.test(piece)) yield* told(false);
  }
  yield* told(true);
}
