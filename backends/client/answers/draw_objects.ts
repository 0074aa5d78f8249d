import { blendMask } from './blend_mask.ts';
import { colorsOf, inkOn } from './colors.ts';
import type { AnswerObject } from './objects.ts';
import { pasteMask } from './paste_mask.ts';
import { placeBox, type Convention, type PixelBox } from './place_box.ts';

/** What is drawn on: a 2D context of a canvas of the page, an OffscreenCanvas, or of a canvas library in Node. */
export interface DrawingContext {
  readonly canvas: { readonly width: number; readonly height: number };
  // a page's types for these are wider than what is assigned here
  fillStyle: unknown;
  strokeStyle: unknown;
  lineWidth: number;
  font: string;
  textBaseline: unknown;
  save(): void;
  restore(): void;
  resetTransform(): void;
  strokeRect(x: number, y: number, width: number, height: number): void;
  fillRect(x: number, y: number, width: number, height: number): void;
  fillText(text: string, x: number, y: number): void;
  measureText(text: string): { readonly width: number };
  getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray };
  putImageData(image: never, x: number, y: number): void;
}

export interface DrawnObject extends Pick<AnswerObject, 'box' | 'name'> {
  /** f32 [64, 64] as the mask decoder gives it; absent for a box alone. */
  readonly mask?: ArrayLike<number>;
}

export interface DrawOptions {
  /** Whose pixels; default `bigvision`. See `placeBox`. */
  readonly convention?: Convention;
  /** Of masks; default 0.5. */
  readonly opacity?: number;
}

/** A name that is longer hides the picture. */
const MAX_NAME = 48;

/**
 * Draws masks, boxes and names over a canvas that shows the picture, whole and at the canvas's size. Masks are blended
 * in the canvas's own pixels, which a page may not read where the picture came from another origin without CORS.
 * @throws what the canvas throws; RangeError for a mask of another size
 */
export function drawObjects(
  context: DrawingContext,
  objects: readonly DrawnObject[],
  { convention = 'bigvision', opacity = 0.5 }: DrawOptions = {},
): void {
  const { width, height } = context.canvas;
  const colors = colorsOf(objects.map(({ name }) => name));
  const placed = objects.map(({ box, name, mask }, i) => ({
    ...placeBox(box, { width, height }, convention),
    name: [...name.replaceAll(/[\p{C}\s]+/gu, ' ').trim()].slice(0, MAX_NAME).join(''),
    mask,
    color: colors[i]!,
  }));
  context.save();
  try {
    context.resetTransform();
    for (const { mask, color, ...box } of placed)
      if (mask) drawMask(context, mask, box, { convention, color, opacity });
    const line = Math.max(1, Math.round(Math.min(width, height) / 200));
    context.lineWidth = line;
    for (const { x0, y0, x1, y1, color } of placed) {
      context.strokeStyle = color;
      context.strokeRect(x0 + line / 2, y0 + line / 2, Math.max(0, x1 - x0 - line), Math.max(0, y1 - y0 - line));
    }
    for (const { name, color, ...box } of placed) if (name !== '') drawName(context, name, box, color);
  } finally {
    context.restore();
  }
}

function drawMask(
  context: DrawingContext,
  mask: ArrayLike<number>,
  { x0, y0, x1, y1 }: PixelBox,
  { convention, color, opacity }: Required<DrawOptions> & { readonly color: string },
): void {
  const [width, height] = [x1 - x0, y1 - y0];
  if (width === 0 || height === 0) return;
  const there = pasteMask(mask, { x0: 0, y0: 0, x1: width, y1: height }, { width, height }, convention);
  const image = context.getImageData(x0, y0, width, height);
  blendMask(image.data, there, { color, opacity });
  context.putImageData(image as never, x0, y0);
}

/** Above its box, or within it at the top of the picture. */
function drawName(context: DrawingContext, name: string, { x0, y0 }: PixelBox, color: string): void {
  const size = Math.max(10, Math.round(Math.min(context.canvas.width, context.canvas.height) / 30));
  context.font = `${size}px sans-serif`;
  context.textBaseline = 'top';
  const width = context.measureText(name).width + size / 2;
  const height = Math.round(size * 1.3);
  const x = Math.max(0, Math.min(x0, context.canvas.width - width));
  const y = y0 >= height ? y0 - height : y0;
  context.fillStyle = color;
  context.fillRect(x, y, width, height);
  context.fillStyle = inkOn(color);
  context.fillText(name, x + size / 4, y + size * 0.15);
}
