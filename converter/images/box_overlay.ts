import { escapeMarkup } from '../../ir/text/escape_markup.ts';
import { colorsOf, inkOn } from '../../backends/client/answers/colors.ts';
import type { PixelBox } from '../../backends/client/answers/place_box.ts';
import { GLYPH_ADVANCE, GLYPH_ROWS, glyphPath, hasGlyphs } from './glyphs.ts';

/** A box to draw, in whole pixels. */
export interface PlacedObject extends PixelBox {
  readonly name: string;
  /** [y1 − y0, x1 − x0], within the box: 1 where the object is; absent for a box alone. */
  readonly mask?: Uint8Array;
}

/** A label that is longer hides the picture. */
const MAX_LABEL = 48;

/**
 * Boxes and labels as an SVG to lay over a picture of `width`×`height` pixels. Lines and letters grow with the picture.
 * Labels are untrusted text: they are stripped of control characters, cut, and either spelled in dots or escaped.
 */
export function boxOverlay(objects: readonly PlacedObject[], width: number, height: number): string {
  const short = Math.min(width, height);
  const line = Math.max(1, Math.round(short / 200));
  const unit = Math.max(1, Math.round(short / 350));
  const colors = colorsOf(objects.map(({ name }) => name));
  const frames = objects.map((object, i) => frame(object, colors[i]!, line, width, height));
  const placed: Tag[] = [];
  for (const [i, object] of objects.entries()) {
    const text = labelText(object.name, Math.floor((width / unit - 2 * PADDING) / GLYPH_ADVANCE));
    if (text !== '') placed.push(place(text, colors[i]!, unit, object, line, width, height, placed));
  }
  // labels after all frames, so that no line crosses a word
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${frames.join('')}${placed.map(drawTag).join('')}</svg>`;
}

/** A line within the box, edged in grey so that it shows on its own colour. */
function frame({ y0, x0, y1, x1 }: PixelBox, color: string, line: number, width: number, height: number): string {
  // a box without extent, or on the far edge, still shows
  const left = Math.max(0, Math.min(x0, width - 2 * line));
  const top = Math.max(0, Math.min(y0, height - 2 * line));
  const w = Math.min(Math.max(x1 - left, 2 * line), width - left);
  const h = Math.min(Math.max(y1 - top, 2 * line), height - top);
  const rect = (stroke: string, thick: number, opacity: number) =>
    `<rect x="${left + line / 2}" y="${top + line / 2}" width="${Math.max(w - line, 0)}" height="${Math.max(h - line, 0)}" fill="none" stroke="${stroke}" stroke-width="${thick}" stroke-opacity="${opacity}"/>`;
  return rect('#000', line + Math.max(2, line / 2), 0.5) + rect(color, line, 1);
}

interface Tag {
  readonly text: string;
  readonly color: string;
  readonly unit: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Dots around the letters. */
const PADDING = 2;

/**
 * Above the box, or else within its top, below it, within its bottom: the first place in the picture that no other
 * label has.
 */
function place(
  text: string,
  color: string,
  unit: number,
  box: PixelBox,
  line: number,
  width: number,
  height: number,
  placed: readonly Tag[],
): Tag {
  const w = textWidth(text, unit) + 2 * PADDING * unit;
  const h = (GLYPH_ROWS + 2 * PADDING - 1) * unit;
  const x = Math.max(0, Math.min(box.x0, width - w));
  const candidates = [box.y0 - h, box.y0 + line, box.y1, box.y1 - line - h];
  const free = (y: number) =>
    y >= 0 &&
    y + h <= height &&
    !placed.some((tag) => x < tag.x + tag.width && tag.x < x + w && y < tag.y + tag.height && tag.y < y + h);
  const y = candidates.find(free) ?? Math.max(0, Math.min(box.y0 - h, height - h));
  return { text, color, unit, x, y, width: w, height: h };
}

function drawTag({ text, color, unit, x, y, width, height }: Tag): string {
  const ink = inkOn(color);
  const plate = `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${color}"/>`;
  const [left, top] = [x + PADDING * unit, y + PADDING * unit];
  if (hasGlyphs(text))
    return `${plate}<path fill="${ink}" shape-rendering="crispEdges" d="${glyphPath(text, left, top, unit)}"/>`;
  return `${plate}<text x="${left}" y="${top + 7 * unit}" font-family="sans-serif" font-size="${9 * unit}" fill="${ink}">${escapeMarkup(text)}</text>`;
}

/**
 * Letters without their accents where that leaves what the built-in face has; other scripts need a font of the system.
 */
function labelText(label: string, fits: number): string {
  const clean = label.replaceAll(/[\p{C}\s]+/gu, ' ').trim();
  const plain = clean.normalize('NFKD').replaceAll(/\p{M}/gu, '');
  const characters = [...(hasGlyphs(plain) ? plain : clean)];
  const most = Math.max(1, Math.min(MAX_LABEL, fits));
  return characters.length <= most
    ? characters.join('')
    : most <= 3
      ? characters.slice(0, most).join('')
      : `${characters.slice(0, most - 2).join('')}..`;
}

/** Of the built-in face exactly; of others an upper bound, a full square for each character beyond Latin. */
function textWidth(text: string, unit: number): number {
  const characters = [...text];
  if (hasGlyphs(text)) return (characters.length * GLYPH_ADVANCE - 1) * unit;
  return characters.reduce((sum, character) => sum + (character < '\u0250' ? 6 : 9), 0) * unit;
}
