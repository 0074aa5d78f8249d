/** A box in fractions of the picture's height and width. */
export interface Box {
  /** Empty when the text names none. */
  readonly label: string;
  readonly y0: number;
  readonly x0: number;
  readonly y1: number;
  readonly x1: number;
  /** Codebook indices of the box's `<segNNN>` tokens: 16 of them describe a mask. */
  readonly segments: readonly number[];
}

/** A stretch of the text that is no box as the models write them. */
interface BoxProblem {
  /** Index of its first character. */
  readonly offset: number;
  readonly text: string;
  readonly message: string;
}

export interface Boxes {
  readonly boxes: readonly Box[];
  readonly problems: readonly BoxProblem[];
  /** All `<segNNN>` tokens in the text, those of malformed boxes too. */
  readonly segmentTokens: number;
}

export interface ParseBoxesOptions {
  /**
   * What the index is divided by: 1023 as big_vision's evaluators do (default), 1024 as the demos on Hugging Face do.
   */
  readonly divisor?: 1023 | 1024;
}

const BINS = 1024;
const CODEBOOK = 128;
const SEGMENTS_OF_MASK = 16;
const TOKEN = /<(loc|seg)(\d+)>/g;

/**
 * Reads boxes out of generated text: `<locY0><locX0><locY1><locX1> label [; …]`, with `<segNNN>` tokens before the
 * label for masks. A separator that is missing between two boxes is tolerated. What does not fit is reported, never
 * thrown: models make mistakes, and generation may stop in the middle. Text without any location is an answer in words
 * and no problem.
 */
export function parseBoxes(text: string, { divisor = 1023 }: ParseBoxesOptions = {}): Boxes {
  const boxes: Box[] = [];
  const problems: BoxProblem[] = [];
  const pieces = split(text);
  const segmentTokens = pieces.reduce((count, { seg }) => count + seg.length, 0);
  if (!pieces.some(({ loc, seg }) => loc.length + seg.length > 0)) return { boxes, problems, segmentTokens };
  for (const { offset, raw, loc, seg, label } of pieces) {
    const report = (message: string) => problems.push({ offset, text: raw, message });
    const [y0, x0, y1, x1] = loc;
    if (loc.length !== 4 || y0 === undefined || x0 === undefined || y1 === undefined || x1 === undefined) {
      report(`${loc.length} location tokens, where a box has 4`);
    } else if (loc.some((index) => index >= BINS)) {
      report(`a location above ${BINS - 1}`);
    } else if (y1 < y0 || x1 < x0) {
      report('the second corner lies above or left of the first');
    } else {
      if (label === '') report('a box without a label');
      if (seg.length > 0 && (seg.length !== SEGMENTS_OF_MASK || seg.some((index) => index >= CODEBOOK)))
        report(`${seg.length} segment tokens, where a mask has ${SEGMENTS_OF_MASK} below ${CODEBOOK}`);
      boxes.push({ label, y0: y0 / divisor, x0: x0 / divisor, y1: y1 / divisor, x1: x1 / divisor, segments: seg });
    }
  }
  return { boxes, problems, segmentTokens };
}

/** A box in pixels; x1 and y1 are exclusive, as slices are. */
export interface PixelBox {
  readonly y0: number;
  readonly x0: number;
  readonly y1: number;
  readonly x1: number;
}

/** Whole pixels of a picture, truncated as the reference's mask decoder does. */
export function toPixelBox(box: Box, width: number, height: number): PixelBox {
  return {
    y0: Math.trunc(box.y0 * height),
    x0: Math.trunc(box.x0 * width),
    y1: Math.trunc(box.y1 * height),
    x1: Math.trunc(box.x1 * width),
  };
}

interface Piece {
  readonly offset: number;
  readonly raw: string;
  readonly loc: readonly number[];
  readonly seg: readonly number[];
  readonly label: string;
}

/** Cuts at `;` and where a location follows words. */
function split(text: string): Piece[] {
  return [...text.matchAll(/[^;]+/g)].flatMap(({ 0: part, index: start }) => {
    const cuts = [0];
    let end = 0;
    for (const token of part.matchAll(TOKEN)) {
      if (token[1] === 'loc' && part.slice(end, token.index).trim() !== '') cuts.push(token.index);
      end = token.index + token[0].length;
    }
    return cuts.map((cut, i) => piece(part.slice(cut, cuts[i + 1]), start + cut)).filter(({ raw }) => raw !== '');
  });
}

function piece(text: string, offset: number): Piece {
  const tokens = [...text.matchAll(TOKEN)];
  const indices = (kind: string) => tokens.filter((token) => token[1] === kind).map((token) => Number(token[2]));
  return {
    offset: offset + text.length - text.trimStart().length,
    raw: text.trim(),
    loc: indices('loc'),
    seg: indices('seg'),
    label: text.replaceAll(TOKEN, '').trim(),
  };
}
