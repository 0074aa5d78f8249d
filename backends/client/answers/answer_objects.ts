import { isOfObject, piecesOf, readPiece, type AnswerObject } from './objects.ts';

/** Longer than a location's token: one may come in parts. */
const TOKEN_LENGTH = 16;

/**
 * The objects of an answer while it is generated, each as soon as the text behind it shows that it is complete: a `;`,
 * the first location of the next, or the end. What is no object is passed over; `parseAnswer` on the whole text tells.
 * @param pieces of text, as `generate` of both runtimes yields them
 */
export async function* answerObjects(pieces: AsyncIterable<string> | Iterable<string>): AsyncGenerator<AnswerObject> {
  let text = '';
  /** Where what was not told yet begins in the whole answer. */
  let start = 0;
  /** Whether a location would begin another object: something but locations came. Else nothing needs to be read. */
  let isBegun = false;
  const told = function* (last: boolean): Generator<AnswerObject> {
    let end = text.lastIndexOf(';') + 1;
    for (const piece of piecesOf(text)) {
      if (!last && piece.end === text.length) break;
      end = Math.max(end, piece.end);
      const { object } = isOfObject(piece) ? readPiece(piece) : {};
      if (object) yield { ...object, offset: start + object.offset };
    }
    text = text.slice(end);
    start += end;
    isBegun = holdsMore(text);
  };
  for await (const piece of pieces) {
    text += piece;
    const near = text.slice(-(piece.length + TOKEN_LENGTH));
    if (piece.includes(';') || (isBegun && /<loc\d+>/.test(near))) yield* told(false);
    else isBegun ||= holdsMore(near);
  }
  yield* told(true);
}

/** Whether there is something beside locations and the beginning of one. */
function holdsMore(text: string): boolean {
  return /\S/.test(
    text
      .replaceAll(/<loc\d+>/g, '')
      .replace(/^[\doc>]*>/, '')
      .replace(/<[loc\d]*$/, ''),
  );
}
