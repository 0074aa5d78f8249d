import { codesProblem } from './codes.ts';

/** Indices of `<locNNNN>`, 0 to 1023, over the height and the width of the picture; the second corner is no less. */
export interface LocationBox {
  /** Top. */
  readonly y0: number;
  /** Left. */
  readonly x0: number;
  /** Bottom. */
  readonly y1: number;
  /** Right. */
  readonly x1: number;
}

/** What an answer to `detect` or `segment` tells. */
export interface AnswerObject {
  /** Where it is: indices, which `placeBox` makes pixels of. */
  readonly box: LocationBox;
  /** 16 indices of `<segNNN>`, 0 to 127, from which a mask is decoded; absent for a box alone. */
  readonly codes?: readonly number[];
  /** Empty where the answer has none, as those of fine-tunes on RefCOCO. */
  readonly name: string;
  /** Where it begins in the answer's text, in UTF-16 units. */
  readonly offset: number;
}

/** A stretch of an answer that is no object as the models write them. */
export interface AnswerProblem {
  /** Where it begins in the answer's text, in UTF-16 units. */
  readonly offset: number;
  /** As it stands in the answer. */
  readonly text: string;
  /** What is wrong with it. */
  readonly message: string;
}

export interface Answer {
  /** In the order of the answer. */
  readonly objects: readonly AnswerObject[];
  /** Empty also for an answer in words, which tells no object and is none that went wrong. */
  readonly problems: readonly AnswerProblem[];
}

const LOCATIONS = 1024;
const TOKEN = /<(loc|seg)(\d+)>/g;

/** An object that a text may tell. */
export interface Piece {
  readonly offset: number;
  /** Behind its last character, where the next one begins. */
  readonly end: number;
  readonly text: string;
  readonly locations: readonly number[];
  readonly codes: readonly number[];
  readonly name: string;
}

/**
 * Cuts at `;`, and where a location follows words or codes: separators are lost now and then. Blank ones are left out.
 */
export function piecesOf(text: string): readonly Piece[] {
  return [...text.matchAll(/[^;]+/g)].flatMap(({ 0: part, index: start }) => {
    const cuts = [0];
    let end = 0;
    let before = 'loc';
    for (const token of part.matchAll(TOKEN)) {
      const isBehind = before === 'seg' || part.slice(end, token.index).trim() !== '';
      if (token[1] === 'loc' && isBehind) cuts.push(token.index);
      before = token[1]!;
      end = token.index + token[0].length;
    }
    return cuts
      .map((cut, i) => pieceOf(part.slice(cut, cuts[i + 1]), start + cut))
      .filter((piece) => piece.text !== '');
  });
}

function pieceOf(part: string, start: number): Piece {
  const tokens = [...part.matchAll(TOKEN)];
  const indices = (kind: string) => tokens.filter((token) => token[1] === kind).map((token) => Number(token[2]));
  return {
    offset: start + part.length - part.trimStart().length,
    end: start + part.length,
    text: part.trim(),
    locations: indices('loc'),
    codes: indices('seg'),
    name: part.replaceAll(TOKEN, '').trim(),
  };
}

/** Whether a piece has anything of an object. */
export function isOfObject({ locations, codes }: Piece): boolean {
  return locations.length + codes.length > 0;
}

/** What a piece tells: an object, a problem, or an object with something wrong about it. */
export function readPiece({ offset, text, locations, codes, name }: Piece): {
  readonly object?: AnswerObject;
  readonly problem?: AnswerProblem;
} {
  const problem = (message: string) => ({ problem: { offset, text, message } });
  const [y0, x0, y1, x1] = locations;
  if (locations.length !== 4 || y0 === undefined || x0 === undefined || y1 === undefined || x1 === undefined)
    return problem(`${locations.length} location tokens, where a box has 4`);
  if (locations.some((index) => index >= LOCATIONS)) return problem(`a location above ${LOCATIONS - 1}`);
  if (y1 < y0 || x1 < x0) return problem('the second corner lies above or left of the first');
  const object = { box: { y0, x0, y1, x1 }, name, offset };
  if (codes.length === 0) return { object };
  const wrong = codesProblem(codes);
  return wrong === undefined ? { object: { ...object, codes } } : { object, ...problem(wrong) };
}
