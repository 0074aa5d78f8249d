import type { LocationBox } from '../../backends/client/answers/objects.ts';
import { parseAnswer } from '../../backends/client/answers/parse_answer.ts';

/** Intersection over union of two boxes; 0 for boxes without area, unless they are the same. */
export function intersectionOverUnion(a: LocationBox, b: LocationBox): number {
  const height = Math.max(0, Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0));
  const width = Math.max(0, Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0));
  const shared = height * width;
  const union = areaOf(a) + areaOf(b) - shared;
  if (union > 0) return shared / union;
  return a.y0 === b.y0 && a.x0 === b.x0 && a.y1 === b.y1 && a.x1 === b.x1 ? 1 : 0;
}

function areaOf({ y0, x0, y1, x1 }: LocationBox): number {
  return (y1 - y0) * (x1 - x0);
}

/**
 * For each object that `expected` tells, the best overlap that the box of an object of the same name in `answer` has
 * with its own, 0 when there is none. Empty when `expected` tells no object.
 */
export function bestOverlaps(answer: string, expected: string): number[] {
  const found = parseAnswer(answer).objects;
  return parseAnswer(expected).objects.map(({ name, box }) =>
    Math.max(0, ...found.filter((other) => other.name === name).map((other) => intersectionOverUnion(other.box, box))),
  );
}
