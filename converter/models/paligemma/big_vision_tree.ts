import type { TensorData } from '../../../ir/tensor.ts';
import { selectRow } from '../../../ir/views/select.ts';
import { stackData } from '../../../ir/views/stack.ts';
import { transposeData } from '../../../ir/views/transpose.ts';
import { modelArrays } from '../../checkpoints/tree_root.ts';
import { BadInputError, type ErrorPlace } from '../../errors.ts';
import type { Reason } from '../ledger/ledger.ts';

/** A big_vision checkpoint under the names and axes that its current models have. */
export interface BigVisionTree {
  /** `img/…` and `llm/…`, layers along the first axis. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** The arrays of the file that each of them is made of. */
  readonly sources: ReadonlyMap<string, readonly string[]>;
  /** What is known to lie beside a model, by the file's names. */
  readonly leftOut: ReadonlyMap<string, Reason>;
  /** What is not known, by the file's names. */
  readonly unknown: readonly string[];
  /** One sentence each: what was ignored or turned. */
  readonly warnings: readonly string[];
}

/**
 * The one form for every way in which big_vision and its ancestors write a PaliGemma (spec C): with or without
 * `params/` or `opt/target/`, layers in arrays of their own instead of stacked, old places of the position embedding,
 * raw Gemma dumps. Layers are stacked as `pyloop_to_scan` does (big_vision/models/vit.py), lazily: a row of a stack
 * reads that layer only.
 * @param path for messages
 * @throws BadInputError when a layer or one of its arrays is missing, layers differ, or the image tower is another kind
 */
export function normalizeBigVision(tensors: ReadonlyMap<string, TensorData>, path: string): BigVisionTree {
  const { arrays, others } = modelArrays(tensors);
  const isModel = (name: string) => /^(?:img|llm)\//.test(name);
  const hasTowers = [...arrays.keys()].some(isModel);
  const nameOf = new Map([...tensors].map(([name, data]) => [data, name]));
  const leftOut = new Map<string, Reason>();
  const unknown: string[] = [];
  const beside = (name: string, reason: Reason | undefined) =>
    reason ? leftOut.set(name, reason) : unknown.push(name);
  for (const name of others) beside(name, trainingOf(name));
  if (hasTowers)
    for (const [name, data] of arrays)
      if (!isModel(name)) beside(nameOf.get(data)!, CONTRASTIVE.test(name) ? 'contrastive' : trainingOf(name));
  const siblings = [...leftOut.keys()];
  const warnings =
    siblings.length > 0
      ? [
          `${siblings.length === 1 ? '1 array beside the model was' : `${siblings.length} arrays beside the model were`} ignored (${countBySubtree(siblings)}).`,
        ]
      : [];
  const sources = new Map<string, readonly string[]>();
  const remember: Remember = (key, parts) =>
    sources.set(
      key,
      parts.flatMap((part) => nameOf.get(part) ?? []),
    );
  const tree = new Map(hasTowers ? [...arrays].filter(([name]) => isModel(name)) : arrays);
  moveOldPositions(tree, path);
  refuseOtherTowers(tree, path);
  const isRaw = renameRawGemma(tree, path);
  const stacked = stackLayers(tree, path, remember);
  if (turnGating(stacked, isRaw, path))
    warnings.push('The gate and up projections lie transposed, as in Gemma’s own dumps, and were turned.');
  return { tensors: stacked, sources, leftOut, unknown, warnings };
}

/** Says of which arrays one of the tree is made. */
type Remember = (key: string, parts: readonly TensorData[]) => void;

/** What optax, Flax's old optimizers and big_vision's clock write beside the parameters. */
const TRAINING = /^(?:opt|opt_state|chrono|step)(?:\/|$)/;
/** SigLIP's other half. */
const CONTRASTIVE = /^(?:txt\/.*|t|b)$/;

/** Whether an array of this name is state of training. */
export function trainingOf(name: string): Reason | undefined {
  return TRAINING.test(name) ? 'training_state' : undefined;
}

/** The tree alone: see `normalizeBigVision`. */
export function bigVisionTree(tensors: ReadonlyMap<string, TensorData>, path: string): ReadonlyMap<string, TensorData> {
  return normalizeBigVision(tensors, path).tensors;
}

function countBySubtree(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) {
    const top = name.split('/', 1)[0]!;
    counts.set(top, (counts.get(top) ?? 0) + 1);
  }
  const parts = [...counts].map(([top, count]) => `${top}: ${count}`);
  return parts.length > 5 ? `${parts.slice(0, 5).join(', ')}, …` : parts.join(', ');
}

function placeOf(tensor: string, data: TensorData | undefined, path: string): ErrorPlace {
  return {
    file: data?.from?.file ?? path,
    tensor: data?.from?.key ?? tensor,
    ...(data?.from && { offset: data.from.byteOffset }),
  };
}

function refuseTower(message: string, place: ErrorPlace): never {
  throw new BadInputError('unsupported_image_tower', message, {
    ...place,
    hint: 'take a complete PaliGemma checkpoint: this image tower is of another model',
  });
}

function rename(tree: Map<string, TensorData>, from: string, to: string, path: string): void {
  const data = tree.get(from)!;
  if (tree.has(to))
    throw new BadInputError('duplicate_tensor', `"${from}" and "${to}" are the same array in an old and a new place`, {
      ...placeOf(from, data, path),
      hint: 'write the checkpoint again with one of them',
    });
  tree.delete(from);
  tree.set(to, data);
}

const POSITIONS = 'img/pos_embedding';
const OLD_POSITIONS = ['img/Transformer/posembed_input/pos_embedding', 'img/Transformer/pos_embedding'];

/** As `fix_old_checkpoints` of big_vision/models/vit.py. */
function moveOldPositions(tree: Map<string, TensorData>, path: string): void {
  for (const old of OLD_POSITIONS) if (tree.has(old)) rename(tree, old, POSITIONS, path);
}

function refuseOtherTowers(tree: ReadonlyMap<string, TensorData>, path: string): void {
  const find = (pattern: RegExp) => [...tree].find(([name]) => pattern.test(name));
  const classToken = find(/^img\/cls$/);
  if (classToken)
    refuseTower(
      `the image tower has a class token, "${classToken[0]}", which PaliGemma’s has not`,
      placeOf(...classToken, path),
    );
  const pooling = find(/^img\/(?:MAPHead_\d+\/|probe$)/);
  if (pooling)
    refuseTower(
      `the image tower ends in a pooling head, "${pooling[0]}", which PaliGemma’s has not: this is a SigLIP`,
      placeOf(...pooling, path),
    );
  const positions = tree.get(POSITIONS);
  const count = positions?.shape.length === 3 ? positions.shape[1]! : 0;
  if (count > 1 && !isSquare(count) && isSquare(count - 1))
    refuseTower(
      `"${positions!.from?.key ?? POSITIONS}" has ${count} positions, a square and one more: those of a tower with a class token`,
      placeOf(POSITIONS, positions, path),
    );
}

function isSquare(count: number): boolean {
  return Math.round(Math.sqrt(count)) ** 2 === count;
}

/**
 * Gemma's own dumps name layers `layer_3` and matrices of the MLP `…/w` (`_load_orbax` of
 * big_vision/models/ppp/gemma.py).
 */
function renameRawGemma(tree: Map<string, TensorData>, path: string): boolean {
  const raw = [...tree.keys()].filter((name) => /^llm\/.*\/mlp\/(?:gating_einsum|linear)\/w$/.test(name));
  for (const name of raw) rename(tree, name, name.slice(0, -'/w'.length), path);
  return raw.length > 0;
}

/** Arrays of one layer: where they are stacked, the layer's number, the rest of the name. */
const LAYERS: readonly { readonly pattern: RegExp; readonly stack: string }[] = [
  { pattern: /^img\/Transformer\/encoderblock_(\d+)\/(.+)$/, stack: 'img/Transformer/encoderblock' },
  { pattern: /^llm\/layers\/(\d+)\/(.+)$/, stack: 'llm/layers' },
  { pattern: /^llm\/layers?_(\d+)\/(.+)$/, stack: 'llm/layers' },
];

interface LayerArray {
  readonly name: string;
  readonly data: TensorData;
}

function stackLayers(tree: ReadonlyMap<string, TensorData>, path: string, remember: Remember): Map<string, TensorData> {
  const stacked = new Map<string, TensorData>();
  /** By the name of the stack, then of the array in a layer, then the layer's number. */
  const stacks = new Map<string, Map<string, Map<number, LayerArray>>>();
  for (const [name, data] of tree) {
    const layer = layerOf(name);
    if (!layer) {
      stacked.set(name, data);
      remember(name, [data]);
      continue;
    }
    const arrays = stacks.get(layer.stack) ?? new Map<string, Map<number, LayerArray>>();
    stacks.set(layer.stack, arrays);
    const layers = arrays.get(layer.rest) ?? new Map<number, LayerArray>();
    arrays.set(layer.rest, layers);
    const other = layers.get(layer.index);
    if (other)
      throw new BadInputError('duplicate_tensor', `"${other.name}" and "${name}" are the same array`, {
        ...placeOf(name, data, path),
        hint: 'write the checkpoint again with one of them',
      });
    layers.set(layer.index, { name, data });
  }
  for (const [stack, arrays] of stacks) {
    const depth = layerCount(stack, arrays, path);
    for (const [rest, layers] of arrays) {
      const key = `${stack}/${rest}`;
      const whole = stacked.get(key);
      if (whole)
        throw new BadInputError(
          'duplicate_tensor',
          `"${key}" is there stacked, and layer by layer in "${[...layers.values()][0]!.name}"`,
          { ...placeOf(key, whole, path), hint: 'write the checkpoint again with one of them' },
        );
      const parts = orderedParts(key, layers, depth, path);
      stacked.set(key, stackData(parts));
      remember(key, parts);
    }
  }
  return stacked;
}

function layerOf(name: string): { stack: string; index: number; rest: string } | undefined {
  for (const { pattern, stack } of LAYERS) {
    const [, digits, rest] = pattern.exec(name) ?? [];
    const index = Number(digits);
    if (rest !== undefined && Number.isSafeInteger(index) && String(index) === digits) return { stack, index, rest };
  }
  return undefined;
}

/** Layers are numbered from 0 without a gap. */
function layerCount(stack: string, arrays: ReadonlyMap<string, ReadonlyMap<number, LayerArray>>, path: string): number {
  const present = new Map<number, LayerArray>();
  for (const layers of arrays.values()) for (const [index, array] of layers) present.set(index, array);
  const last = [...present].reduce((a, b) => (b[0] > a[0] ? b : a));
  for (let i = 0; i < present.size; i++)
    if (!present.has(i))
      throw new BadInputError('missing_layer', `there is no layer ${i} of ${stack}, but "${last[1].name}"`, {
        ...placeOf(last[1].name, last[1].data, path),
        hint: 'take a complete checkpoint: layers are numbered from 0 without a gap',
      });
  return present.size;
}

function orderedParts(key: string, layers: ReadonlyMap<number, LayerArray>, depth: number, path: string): TensorData[] {
  const [first] = layers.values();
  return Array.from({ length: depth }, (_, i) => {
    const part = layers.get(i);
    if (!part)
      throw new BadInputError(
        'missing_tensor',
        `layer ${i} has no "${key}": "${first!.name}" has no counterpart there`,
        {
          ...placeOf(first!.name, first!.data, path),
          hint: 'take a complete checkpoint: every layer has the same arrays',
        },
      );
    if (part.data.dtype !== first!.data.dtype || part.data.shape.join() !== first!.data.shape.join())
      throw new BadInputError(
        'shape_mismatch',
        `"${part.name}" is ${describe(part.data)}, but "${first!.name}" is ${describe(first!.data)}`,
        {
          ...placeOf(part.name, part.data, path),
          hint: 'the layers may come from different models: take a complete checkpoint',
        },
      );
    return part.data;
  });
}

function describe({ dtype, shape }: TensorData): string {
  return `${dtype}[${shape.join(', ')}]`;
}

const GATING = 'llm/layers/mlp/gating_einsum';

/**
 * Gemma's dumps may hold (L, 2, F, D) where big_vision has (L, 2, D, F). big_vision takes the longer axis for F; the
 * shape of `linear`, (L, F, D), tells without that guess, unless the two are equal. @returns whether it was turned
 */
function turnGating(tree: Map<string, TensorData>, isRaw: boolean, path: string): boolean {
  const gating = tree.get(GATING);
  const linear = tree.get('llm/layers/mlp/linear');
  if (gating?.shape.length !== 4 || linear?.shape.length !== 3) return false;
  const [layers, , rows, columns] = gating.shape as [number, number, number, number];
  const [, hidden, width] = linear.shape as [number, number, number];
  if (hidden === width) {
    if (isRaw)
      throw new BadInputError(
        'ambiguous_layout',
        `"${gating.from?.key ?? GATING}" of a raw Gemma dump is square, ${rows} by ${columns}: nothing tells which axis is which`,
        {
          ...placeOf(GATING, gating, path),
          hint: 'write the checkpoint again with big_vision, whose axes are known',
        },
      );
    return false;
  }
  if (rows !== hidden || columns !== width || layers === 0) return false;
  tree.set(GATING, stackData(Array.from({ length: layers }, (_, i) => transposeData(selectRow(gating, i), [0, 2, 1]))));
  return true;
}
