import { sym, type Dim } from '../../../ir/dim.ts';
import { CAPACITY } from '../bundle/plan.ts';
import type { AttentionSpec } from './attention_spec.ts';
import {
  attentionFormula,
  attentionInputs,
  attentionName,
  EXP_BELOW,
  fourReader,
  foursOf,
  fourWriter,
  headsBinding,
  keyRoom,
  LOWEST,
  scoreFunctions,
} from './attention_text.ts';
import { fixedAxis, ONE, type Kernel } from './kernel.ts';
import { dimText, growingAxis } from './wgsl_text.ts';

export interface AttentionSplits {
  /** Bindings q, k, v, [bias], partial, stats. */
  readonly split: Kernel;
  /** Bindings partial, stats, out. */
  readonly join: Kernel;
  /**
   * Sizes whose products are the f32 of the scratch buffers `partial` and `stats`, already with `capacity` in place of
   * what grows.
   */
  readonly scratch: { readonly partial: readonly Dim[]; readonly stats: readonly Dim[] };
}

/** Keys of a workgroup: few, so that a short context keeps many of them busy. */
const KEYS = 32;
const THREADS = 256;
/** Invocations that share a key: its row is read in pieces of 128 bytes. */
const LANES = 8;
/** Query heads of a workgroup at most: 32 keys of each are a score an invocation. */
const MOST_HEADS = THREADS / KEYS;

/**
 * For one query a sequence (spec.seq is 1). Each workgroup reads 32 rows of one KV head once, for all query heads that
 * share it.
 */
export function attentionStepKernels(spec: AttentionSpec): AttentionSplits {
  const { batch, heads, headDim, total } = spec;
  const room: Dim = growingAxis([total]) === undefined ? total : sym(CAPACITY);
  const splits: Dim =
    typeof room === 'number' ? Math.ceil(room / KEYS) : { terms: room.terms, offset: room.offset + KEYS - 1 };
  return {
    split: splitKernel(spec),
    join: joinKernel(spec),
    scratch:
      typeof splits === 'number'
        ? { partial: [batch, heads, splits, headDim], stats: [batch, heads, splits, 2] }
        : { partial: [batch, heads, splits, Math.ceil(headDim / KEYS)], stats: [batch, heads, splits] },
  };
}

const splitCount = ({ total }: AttentionSpec) => `(${dimText(total)} + ${KEYS - 1}u) / ${KEYS}u`;

/** Query heads of a workgroup: as many of a group as fit into its memory and invocations. */
function headsTogether({ heads, kvHeads, headDim }: AttentionSpec): number {
  const group = heads / kvHeads;
  const most = Math.max(1, Math.min(MOST_HEADS, group, Math.floor(576 / foursOf(headDim))));
  return Array.from({ length: most }, (_, i) => most - i).find((count) => group % count === 0)!;
}

function splitKernel(spec: AttentionSpec): Kernel {
  const { batch, heads, kvHeads, headDim, total } = spec;
  const together = headsTogether(spec);
  const fours = foursOf(headDim);
  const columns = Math.min(fours, THREADS);
  const lanes = Math.min(8, Math.floor(THREADS / columns));
  const headFours = Math.ceil(together / 4);
  const each = (line: (head: number) => string, indent = '  ') =>
    Array.from({ length: together }, (_, head) => indent + line(head)).join('\n');
  /** The heads' products as vec4s, what fills the last up is 0. */
  const dots = Array.from(
    { length: headFours },
    (_, v) => `vec4<f32>(${[0, 1, 2, 3].map((i) => (4 * v + i < together ? `dot${4 * v + i}` : '0.0')).join(', ')})`,
  );
  const body = `\
/** Queries; then parts of products; then parts of what is mixed. */
var<workgroup> shared_fours: array<vec4<f32>, ${Math.max(together * fours, KEYS * (LANES + 1) * headFours, together * columns)}>;
var<workgroup> scores: array<f32, ${headFours * 4 * KEYS}>;
var<workgroup> weights: array<f32, ${headFours * 4 * KEYS}>;

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let split = workgroup.x;
  let first_head = workgroup.y * ${together}u;
  let kv = first_head / ${heads / kvHeads}u;
  let b = workgroup.z;
  let first_key = split * ${KEYS}u;
  let count = min(${KEYS}u, ${dimText(total)} - first_key);
  let first_row = (b * ${kvHeads}u + kv) * ${keyRoom(spec)} + first_key;
  for (var i = local; i < ${together * fours}u; i += ${THREADS}u) {
    shared_fours[i] = q_four(b * ${heads}u + first_head + i / ${fours}u, i % ${fours}u);
  }
  workgroupBarrier();

  // Products: eight invocations a key.
  let key = local / ${LANES}u;
  let lane = local % ${LANES}u;
${each((head) => `var dot${head} = 0.0;`)}
  if (key < count) {
    for (var four = lane; four < ${fours}u; four += ${LANES}u) {
      let k_part = k_four(first_row + key, four);
${each((head) => `dot${head} += dot(shared_fours[${head * fours}u + four], k_part);`, '      ')}
    }
  }
  workgroupBarrier();
${dots.map((text, v) => `  shared_fours[(key * ${LANES + 1}u + lane) * ${headFours}u + ${v}u] = ${text};`).join('\n')}
  workgroupBarrier();
  if (local < ${KEYS * headFours}u) {
    let scored = local / ${headFours}u;
    let v = local % ${headFours}u;
    var product = vec4<f32>();
    for (var i = 0u; i < ${LANES}u; i++) { product += shared_fours[(scored * ${LANES + 1}u + i) * ${headFours}u + v]; }
    for (var i = 0u; i < 4u; i++) {
      var score = ${LOWEST}f;
      if (scored < count) { score = score_of(product[i], b, 0u, first_key + scored); }
      scores[(4u * v + i) * ${KEYS}u + scored] = score;
    }
  }
  workgroupBarrier();

  // Weights: an invocation a head and key.
  let head = local / ${KEYS}u;
  var most = ${LOWEST}f;
  if (head < ${together}u) {
    for (var i = 0u; i < count; i++) { most = max(most, scores[head * ${KEYS}u + i]); }
    weights[local] = exp_below(scores[local] - most);
  }
  workgroupBarrier();
  if (head < ${together}u && local % ${KEYS}u == 0u) {
    var weight = 0.0;
    for (var i = 0u; i < count; i++) { weight += weights[local + i]; }
    stats[(b * ${heads}u + first_head + head) * (${splitCount(spec)}) + split] = vec2<f32>(most, weight);
  }

  // Values: ${lanes} invocations four elements, each for every ${lanes}th key.
  for (var base = 0u; base < ${fours}u; base += ${columns}u) {
    let column = base + local % ${columns}u;
    let first = local / ${columns}u;
    let is_mine = first < ${lanes}u && column < ${fours}u;
${each((i) => `var mixed${i} = vec4<f32>();`, '    ')}
    if (is_mine) {
      for (var i = first; i < count; i += ${lanes}u) {
        let v_part = v_four(first_row + i, column);
${each((i) => `mixed${i} += weights[${i * KEYS}u + i] * v_part;`, '        ')}
      }
    }
${
  lanes === 1
    ? ''
    : `    for (var other = 1u; other < ${lanes}u; other++) {
      workgroupBarrier();
      if (is_mine && first == other) {
${each((i) => `shared_fours[${i * columns}u + local % ${columns}u] = mixed${i};`, '        ')}
      }
      workgroupBarrier();
      if (is_mine && first == 0u) {
${each((i) => `mixed${i} += shared_fours[${i * columns}u + local % ${columns}u];`, '        ')}
      }
    }
`
}    if (is_mine && first == 0u) {
${each((i) => `store_four((b * ${heads}u + first_head + ${i}u) * (${splitCount(spec)}) + split, column, mixed${i});`, '      ')}
    }
  }
}`;
  return {
    name: `attention_step_${attentionName(spec)}`,
    doc: `${attentionFormula(spec)}, for one query a sequence: a workgroup mixes ${KEYS} keys' values for ${together} of the heads that share them, weighed by exp(score - most). stats: most, and the sum of the weights.`,
    bindings: [
      ...attentionInputs(spec),
      headsBinding('partial', headDim, 'read_write'),
      { name: 'stats', type: 'array<vec2<f32>>', access: 'read_write' },
    ],
    body: [
      ...['q', 'k', 'v'].map((name) => fourReader(name, headDim)),
      fourWriter('partial', headDim),
      ...scoreFunctions(spec),
      EXP_BELOW,
      body,
    ]
      .join('\n\n')
      .replaceAll(/\/\*\* (.*) \*\//g, '// $1'),
    grid: [{ factors: [total], divide: KEYS }, fixedAxis(heads / together), { factors: [batch], divide: 1 }],
  };
}

function joinKernel(spec: AttentionSpec): Kernel {
  const { batch, heads, headDim } = spec;
  const fours = foursOf(headDim);
  const columns = Math.min(fours, THREADS);
  const lanes = Math.floor(THREADS / columns);
  const body = `\
var<workgroup> parts: array<vec4<f32>, ${THREADS}>;
var<workgroup> part_stats: array<vec2<f32>, ${THREADS}>;

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= ${dimText(batch)} * ${heads}u) { return; }
  let splits = ${splitCount(spec)};
  let first = row * splits;
  let lane = local / ${columns}u;
  for (var base = 0u; base < ${fours}u; base += ${columns}u) {
    let column = base + local % ${columns}u;
    let is_mine = lane < ${lanes}u && column < ${fours}u;
    // Of every ${lanes}th split: the most, the sum of weights, and what is mixed.
    var joined = vec2<f32>(${LOWEST}, 0.0);
    var mixed = vec4<f32>();
    if (is_mine) {
      for (var i = first + lane; i < first + splits; i += ${lanes}u) {
        let most = max(joined.x, stats[i].x);
        let before = exp_below(joined.x - most);
        let factor = exp_below(stats[i].x - most);
        joined = vec2<f32>(most, joined.y * before + stats[i].y * factor);
        mixed = mixed * before + partial_four(i, column) * factor;
      }
    }
    workgroupBarrier();
    parts[local] = mixed;
    part_stats[local] = joined;
    workgroupBarrier();
    if (is_mine && lane == 0u) {
      var most = joined.x;
      for (var i = local; i < ${lanes * columns}u; i += ${columns}u) { most = max(most, part_stats[i].x); }
      var weight = 0.0;
      mixed = vec4<f32>();
      for (var i = local; i < ${lanes * columns}u; i += ${columns}u) {
        let factor = exp_below(part_stats[i].x - most);
        weight += part_stats[i].y * factor;
        mixed += parts[i] * factor;
      }
      store_four(row, column, mixed / weight);
    }
  }
}`;
  return {
    name: `attention_join_${headDim}`,
    doc: `What workgroups mixed of ${KEYS} keys each, of ${heads} heads of ${headDim}, joined by their sums of weights: a workgroup a head.`,
    bindings: [
      headsBinding('partial', headDim, 'read'),
      { name: 'stats', type: 'array<vec2<f32>>', access: 'read' },
      headsBinding('out', headDim, 'read_write'),
    ],
    body: [fourReader('partial', headDim), fourWriter('out', headDim), EXP_BELOW, body].join('\n\n'),
    grid: [{ factors: [batch, heads], divide: 1 }, ONE, ONE],
  };
}
