import type { Program } from '../../../ir/graph.ts';
import { quantizableWeights } from '../../../ir/passes/index.ts';
import type { LayerPart, RoleOf, WeightRole } from '../../precision/weight_storage.ts';

/** The matrices of a layer by their canonical names (weights.ts). */
const PARTS: Readonly<Record<string, LayerPart>> = {
  q: 'query',
  k: 'key',
  v: 'value',
  o: 'output',
  gate: 'gate',
  up: 'up',
  down: 'down',
  'q.w': 'query',
  'k.w': 'key',
  'v.w': 'value',
  'o.w': 'output',
  'fc1.w': 'up',
  'fc2.w': 'down',
};

const TOWERS = { lm: 'decoder', vit: 'vision' } as const;

/** Matrices outside of layers. */
const SINGLE: Readonly<Record<string, WeightRole>> = {
  'lm.embed': { part: 'embedding' },
  'lm.head': { part: 'head' },
  'proj.w': { part: 'projector' },
  'mask.codes': { part: 'codebook' },
};

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
    const place = placeOf(name);
    if (!place) return SINGLE[name];
    const part = PARTS[place.rest];
    return part && { part, tower: place.tower, layer: place.layer, layers: layersOf.get(place.tower)! };
  };
}

/** `lm.3.down` is `down` in layer 3 of the decoder. */
function placeOf(name: string): { tower: 'decoder' | 'vision'; layer: number; rest: string } | undefined {
  const [, tower, layer, rest] = /^(lm|vit)\.(\d+)\.(.+)$/.exec(name) ?? [];
  return tower === undefined ? undefined : { tower: TOWERS[tower as 'lm' | 'vit'], layer: Number(layer), rest: rest! };
}
