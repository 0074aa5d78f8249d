import type { PictureSize } from './place_box.ts';

/** A mask as COCO has it in JSON: `pycocotools.mask.decode` reads it. */
export interface CocoRle {
  /** [height, width] */
  readonly size: readonly [number, number];
  /** Runs of pixels, column by column, in the characters of COCO's own code. */
  readonly counts: string;
}

/**
 * A pasted mask of 0 and 1 (or of 0 to 1, which counts from a half on) in COCO's compressed run-length encoding
 * (cocodataset/cocoapi, common/maskApi.c: rleEncode, rleToString).
 * @param mask [height, width], rows from the top, as `pasteMask` gives it
 * @throws RangeError for a mask of another size
 */
export function cocoRle(mask: ArrayLike<number>, { width, height }: PictureSize): CocoRle {
  if (![width, height].every((side) => Number.isSafeInteger(side) && side > 0) || mask.length !== width * height)
    throw new RangeError(`a mask of ${mask.length} pixels for a picture of ${width} × ${height}`);
  const runs = [0];
  let isThere = false;
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++) {
      if (mask[y * width + x]! >= 0.5 !== isThere) {
        isThere = !isThere;
        runs.push(0);
      }
      runs[runs.length - 1]!++;
    }
  return { size: [height, width], counts: runs.map((run, i) => code(i > 2 ? run - runs[i - 2]! : run)).join('') };
}

/** Five bits a character, the lowest first, from '0' on; 32 more where others follow. */
function code(number: number): string {
  let text = '';
  for (let rest = number, more = true; more;) {
    const bits = rest & 0x1f;
    rest >>= 5;
    more = bits & 0x10 ? rest !== -1 : rest !== 0;
    text += String.fromCharCode(48 + (more ? bits | 0x20 : bits));
  }
  return text;
}
