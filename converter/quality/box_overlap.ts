import { parseBoxes, type Box } from '../images/boxes.ts';

/** Intersection over union of two boxes; 0 for boxes without area, unless they are the same. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const height = Math.max(0, Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0));
  const width = Math.max(0, Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0));
  const shared = height * width;
  const union = areaOf(a) + areaOf(b) - shared;
  if (union > 0) return shared / union;
  return a.y0 === b.y0 && a.x0 === b.x0 && a.y1 === b.y1 && a.x1 === b.x1 ? 1 : 0;
}

function areaOf({ y0, x0, y1, x1 }: Box): number {
  return (y1 - y0) * (x1 - x0);
}

/**
 * For each box that `expected` tells, the best overlap that a box of the same label in `answer` has with it, 0 when
 * there is none. Empty when `expected` tells no box.
 */
export function bestOverlaps(answer: string, expected: string): number[] {
  const found = parseBoxes(answer).boxes;
  return parseBoxes(expected).boxes.map((box) =>
    Math.max(0, ...found.filter(({ label }) => label === box.label).map((other) => intersectionOverUnion(other, box))),
  );
}
