import type { AnswerObject } from '../../backends/client/answers/objects.ts';
import { MASK_CODES } from '../../backends/client/answers/codes.ts';
import { pasteMask } from '../../backends/client/answers/paste_mask.ts';
import { placeBox, type PixelBox, type PictureSize } from '../../backends/client/answers/place_box.ts';
import { tensorOf } from '../../ir/tensor.ts';
import type { Model } from '../../verify/decode.ts';
import { MASK_GRAPH } from '../../verify/masks.ts';

/** An object of an answer in the pixels of its picture, by big_vision's convention. */
export interface SeenObject extends PixelBox {
  readonly name: string;
  /** Whether the answer has codes of a mask for it. */
  readonly hasCodes: boolean;
  /** Whether the decoder gave values that are no numbers. */
  readonly isBroken: boolean;
  /** [y1 − y0, x1 − x0], within its box: 1 where it is; absent without codes, or without a mask decoder. */
  readonly mask?: Uint8Array;
}

/** A mask is a megabyte while it is decoded. */
const AT_ONCE = 16;

/** Raw masks f32 [64, 64] of all objects that have codes, by a bundle's own decoder; without one there are none. */
export async function masksOf(
  { runner, metadata }: Model,
  objects: readonly Pick<AnswerObject, 'codes'>[],
): Promise<readonly (Float32Array | undefined)[]> {
  const { maskSize } = metadata;
  const masks: (Float32Array | undefined)[] = objects.map(() => undefined);
  const coded = objects.flatMap(({ codes }, i) => (codes ? [{ codes, i }] : []));
  if (maskSize === undefined) return masks;
  for (let from = 0; from < coded.length; from += AT_ONCE) {
    const some = coded.slice(from, from + AT_ONCE);
    const codes = tensorOf(
      'i32',
      [some.length, MASK_CODES],
      some.flatMap((each) => each.codes),
    );
    const { data } = (await runner.run(MASK_GRAPH, { codes }))['masks']!;
    some.forEach(
      ({ i }, at) => (masks[i] = Float32Array.from(data.subarray(at * maskSize ** 2, (at + 1) * maskSize ** 2))),
    );
  }
  return masks;
}

/** Objects, and their raw masks, in the pixels of a picture; a mask has no more than those of its box. */
export function seenIn(
  size: PictureSize,
  objects: readonly AnswerObject[],
  masks: readonly (Float32Array | undefined)[],
): readonly SeenObject[] {
  return objects.map(({ name, box, codes }, i) => {
    const place = placeBox(box, size);
    const raw = masks[i];
    const isBroken = raw?.some((value) => !Number.isFinite(value)) ?? false;
    return {
      ...place,
      name,
      hasCodes: codes !== undefined,
      isBroken,
      ...(raw && { mask: withinBox(raw, place) }),
    };
  });
}

/** The same pixels as in the picture: how a mask is resized follows from its box alone. */
function withinBox(raw: Float32Array, { y0, x0, y1, x1 }: PixelBox): Uint8Array {
  const size = { width: x1 - x0, height: y1 - y0 };
  return pasteMask(raw, { y0: 0, x0: 0, y1: size.height, x1: size.width }, size);
}
