import type { Program } from '../../../ir/graph.ts';
import { quantizableWeights } from '../../../ir/passes/index.ts';
import type { RoleOf } from '../../precision/weight_storage.ts';

/** The parts of a layer that rules of precision single out, by their canonical names (weights.ts). */
const PARTS: Readonly<Record<string, 'value' | 'down'>> = { v: 'value', down: 'down', 'v.w': 'value', 'fc2.w': 'down' };

/**
 * Roles of the matrices of a PaliGemma's program: both towers have layers; the head is named even when it is the table.
 */
export function weightRoles({ graphs }: Program): RoleOf {
  const layersOf = new Map<string, number>();
  for (const { name } of graphs.flatMap(quantizableWeights)) {
    const place = placeOf(name);
    if (place) layersOf.set(place.tower, Math.max(layersOf.get(place.tower) ?? 0, place.layer + 1));
  }
  return (name) => {
    if (name === 'lm.embed') return { part: 'embedding' };
    if (name === 'mask.codes') return { part: 'codebook' };
    if (name === 'lm.head') return { part: 'head' };
    const place = placeOf(name);
    const part = place && PARTS[place.rest];
    return part && { part, tower: place.tower, layer: place.layer, layers: layersOf.get(place.tower)! };
  };
}

/** `lm.3.down` is `down` in layer 3 of the tower `lm`. */
function placeOf(name: string): { tower: string; layer: number; rest: string } | undefined {
  const [, tower, layer, rest] = /^(lm|vit)\.(\d+)\.(.+)$/.exec(name) ?? [];
  return tower === undefined ? undefined : { tower, layer: Number(layer), rest: rest! };
}
