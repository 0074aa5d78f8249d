import { idsText, type AnswerIds, type IdOptions } from './ids_text.ts';
import { isOfObject, piecesOf, readPiece, type Answer } from './objects.ts';

/**
 * Reads the objects out of an answer, given as text or as token ids (without those of the prompt): each is four
 * `<locNNNN>` (y0, x0, y1, x1), 16 `<segNNN>` where it has a mask, and a name, with ` ; ` between objects. No answer
 * throws: models make mistakes and answers are cut off, so what does not fit is a problem with its place, and the
 * other objects stay. Of ids, offsets count in the text that they are written as.
 */
export function parseAnswer(answer: string | AnswerIds, options: IdOptions = {}): Answer {
  const text = typeof answer === 'string' ? answer : idsText(answer, options);
  const pieces = piecesOf(text);
  if (!pieces.some(isOfObject)) return { objects: [], problems: [] };
  const read = pieces.map(readPiece);
  return {
    objects: read.flatMap(({ object }) => object ?? []),
    problems: read.flatMap(({ problem }) => problem ?? []),
  };
}
