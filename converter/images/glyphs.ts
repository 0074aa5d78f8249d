/**
 * A bitmap face for labels: servers and containers often have no fonts at all, and a picture should not depend on which
 * they have. Each glyph is a string of rows from the top, a row one digit of base 32 whose bits are the 5 columns (16
 * is the leftmost): 7 rows stand on the base line, up to 2 more hang below it.
 */
const GLYPHS: Readonly<Record<string, string>> = {
  ' ': '0000000',
  '!': '4444404',
  '"': 'aaa0000',
  '#': 'aavavaa',
  $: '4fke5u4',
  '%': 'op248j3',
  '&': 'cik8lid',
  "'": '4480000',
  '(': '2488842',
  ')': '8422248',
  '*': '04lel40',
  '+': '044v440',
  ',': '00000c48',
  '-': '000v000',
  '.': '00000cc',
  '/': '01248g0',
  '0': 'ehjlphe',
  '1': '4c4444e',
  '2': 'eh1248v',
  '3': 'v2421he',
  '4': '26aiv22',
  '5': 'vgu11he',
  '6': '68guhhe',
  '7': 'v124888',
  '8': 'ehhehhe',
  '9': 'ehhf12c',
  ':': '0cc0cc0',
  ';': '0cc0c48',
  '<': '248g842',
  '=': '00v0v00',
  '>': '8421248',
  '?': 'eh12404',
  '@': 'eh1dlle',
  A: 'ehhvhhh',
  B: 'uhhuhhu',
  C: 'ehggghe',
  D: 'uhhhhhu',
  E: 'vgguggv',
  F: 'vgguggg',
  G: 'ehgnhhe',
  H: 'hhhvhhh',
  I: 'e44444e',
  J: '72222ic',
  K: 'hikokih',
  L: 'ggggggv',
  M: 'hrllhhh',
  N: 'hhpljhh',
  O: 'ehhhhhe',
  P: 'uhhuggg',
  Q: 'ehhhlid',
  R: 'uhhukih',
  S: 'fgge11u',
  T: 'v444444',
  U: 'hhhhhhe',
  V: 'hhhhha4',
  W: 'hhhllla',
  X: 'hha4ahh',
  Y: 'hha4444',
  Z: 'v1248gv',
  '[': 'e88888e',
  '\\': '0g84210',
  ']': 'e22222e',
  '^': '4ah0000',
  _: '0000000v',
  '`': '8420000',
  a: '00e1fhf',
  b: 'ggmphhu',
  c: '00egghe',
  d: '11djhhf',
  e: '00ehvge',
  f: '698s888',
  g: '00fhhhf1e',
  h: 'ggmphhh',
  i: '40c444e',
  j: '2062222ic',
  k: 'ggikoki',
  l: 'c44444e',
  m: '00qllhh',
  n: '00mphhh',
  o: '00ehhhe',
  p: '00uhhhugg',
  q: '00fhhhf11',
  r: '00mpggg',
  s: '00fge1u',
  t: '88s8896',
  u: '00hhhjd',
  v: '00hhha4',
  w: '00hhlla',
  x: '00ha4ah',
  y: '00hhhhf1e',
  z: '00v248v',
  '{': '2448442',
  '|': '4444444',
  '}': '8442448',
  '~': '008l200',
};

const COLUMNS = 5;
/** Columns from one glyph to the next. */
export const GLYPH_ADVANCE = 6;
/** Rows from the top of a capital to the foot of a `g`. */
export const GLYPH_ROWS = 9;

/** Whether the face has every character of `text`. */
export function hasGlyphs(text: string): boolean {
  return [...text].every((character) => Object.hasOwn(GLYPHS, character));
}

/**
 * The runs of dots that spell `text`, as the `d` of an SVG path in units of one dot; the top left corner at (x, y), a
 * dot `unit` wide.
 */
export function glyphPath(text: string, x: number, y: number, unit: number): string {
  let path = '';
  for (const [i, character] of [...text].entries()) {
    for (const [row, digit] of [...(GLYPHS[character] ?? '')].entries()) {
      const bits = Number.parseInt(digit, 32);
      const lit = (column: number) => column < COLUMNS && ((bits >> (COLUMNS - 1 - column)) & 1) === 1;
      for (let column = 0; column < COLUMNS; column++) {
        if (!lit(column)) continue;
        const begin = column;
        while (lit(column)) column++;
        path += `M${x + (i * GLYPH_ADVANCE + begin) * unit} ${y + row * unit}h${(column - begin) * unit}v${unit}h${(begin - column) * unit}z`;
      }
    }
  }
  return path;
}
