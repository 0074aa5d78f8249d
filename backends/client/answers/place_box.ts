import type { LocationBox } from './objects.ts';

/**
 * Whose pixels an object has. `bigvision`: the official evaluation, index / 1023 of a side, cut to whole pixels, and
 * masks that are resized as floats and lie where they are above 0. `huggingface`: the published demo, index / 1024 of a
 * side, rounded (halves to even, as Python does), and masks of 0 to 1, resized as bytes.
 */
export type Convention = 'bigvision' | 'huggingface';

/** Pixels of a picture; x1 and y1 are exclusive, as slices are. */
export interface PixelBox {
  /** Top. */
  readonly y0: number;
  /** Left. */
  readonly x0: number;
  /** Bottom. */
  readonly y1: number;
  /** Right. */
  readonly x1: number;
}

/** Of a picture, as it was before it was squeezed to a square. */
export interface PictureSize {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
}

const PLACES: Readonly<Record<Convention, { readonly divisor: number; whole(value: number): number }>> = {
  bigvision: { divisor: 1023, whole: Math.trunc },
  huggingface: { divisor: 1024, whole: roundHalfToEven },
};

/** @throws RangeError for a convention that there is not: the two give other pixels */
export function checkConvention(convention: Convention): void {
  if (!Object.hasOwn(PLACES, convention))
    throw new RangeError(`a convention "${convention}": there are ${Object.keys(PLACES).join(' and ')}`);
}

/** Where a box lies in a picture. @throws RangeError for a convention that there is not */
export function placeBox(
  box: LocationBox,
  { width, height }: PictureSize,
  convention: Convention = 'bigvision',
): PixelBox {
  checkConvention(convention);
  const { divisor, whole } = PLACES[convention];
  const place = (index: number, side: number) => whole((index / divisor) * side);
  return {
    y0: place(box.y0, height),
    x0: place(box.x0, width),
    y1: place(box.y1, height),
    x1: place(box.x1, width),
  };
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
