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
import { fixedAxis, type Kernel } from './kernel.ts';
import { dimText, productText } from './wgsl_text.ts';

/** Queries and keys of a tile. Query heads that share a KV head are rows of one tile: (s, head within the group). */
const ROWS = 32;
/**
 * Groups of four of a head that lie in workgroup memory at once: 32 rows of them, a ninth apart so that banks differ.
 */
const CHUNK = 8;

const MEMORY = `\
var<workgroup> left: array<vec4<f32>, ${ROWS * 9}>;
var<workgroup> right: array<vec4<f32>, ${ROWS * 9}>;
/** Scores of 32 rows for 32 keys, then their weights. */
var<workgroup> scores: array<vec4<f32>, ${ROWS * 9}>;
var<workgroup> parts: array<f32, 128>;
var<workgroup> sums: array<f32, 128>;
var<workgroup> factors: array<f32, ${ROWS}>;`;

/** An invocation has rows y and y + 16 of a tile, and in them four keys, or four elements of the chunk. */
const TILE_PRODUCTS = `\
/** Products of the chunk of two rows with keys 4x … 4x + 3. */
fn products(x: u32, y: u32, width: u32) -> mat2x4<f32> {
  var sum = mat2x4<f32>();
  for (var four = 0u; four < width; four++) {
    let q0 = left[y * 9u + four];
    let q1 = left[(y + 16u) * 9u + four];
    let k0 = right[x * 9u + four];
    let k1 = right[(x + 8u) * 9u + four];
    let k2 = right[(x + 16u) * 9u + four];
    let k3 = right[(x + 24u) * 9u + four];
    sum += mat2x4<f32>(dot(q0, k0), dot(q0, k1), dot(q0, k2), dot(q0, k3), dot(q1, k0), dot(q1, k1), dot(q1, k2), dot(q1, k3));
  }
  return sum;
}

/** What was mixed so far, scaled, and the tile's values by the weights of two rows. */
fn mix(before: mat2x4<f32>, x: u32, y: u32) -> mat2x4<f32> {
  var first = before[0] * factors[y];
  var second = before[1] * factors[y + 16u];
  for (var four = 0u; four < 8u; four++) {
    let w0 = scores[y * 9u + four];
    let w1 = scores[(y + 16u) * 9u + four];
    let at = four * 36u + x;
    let v0 = right[at];
    let v1 = right[at + 9u];
    let v2 = right[at + 18u];
    let v3 = right[at + 27u];
    first += w0.x * v0 + w0.y * v1 + w0.z * v2 + w0.w * v3;
    second += w1.x * v0 + w1.y * v1 + w1.z * v2 + w1.w * v3;
  }
  return mat2x4<f32>(first, second);
}`;

function loads({ heads, kvHeads, total, seq }: AttentionSpec, fours: number): string {
  const group = heads / kvHeads;
  const load = (tile: string, slot: string, condition: string, value: string) => `\
  for (var i = local; i < ${ROWS * CHUNK}u; i += 128u) {
    let row = i / ${CHUNK}u;
    let four = chunk * ${CHUNK}u + i % ${CHUNK}u;
    var value = vec4<f32>();
    if (${condition}${fours % CHUNK === 0 ? '' : ` && four < ${fours}u`}) { value = ${value}; }
    ${tile}[${slot} * 9u + i % ${CHUNK}u] = value;
  }`;
  const isKey = `first_key + row < ${dimText(total)}`;
  return `\
/** Where row \`row\` (s, head within the group) of a KV head's queries lies among rows of q. */
fn query_row(b: u32, kv: u32, row: u32) -> u32 {
  return (b * ${dimText(seq)} + row / ${group}u) * ${heads}u + kv * ${group}u + row % ${group}u;
}

fn load_queries(local: u32, b: u32, kv: u32, first_row: u32, chunk: u32) {
${load('left', 'row', `first_row + row < ${productText([seq, group])}`, 'q_four(query_row(b, kv, first_row + row), four)')}
}

/** Key 4x + i lies in row 8i + x: so do neighbours in x read other banks. */
fn load_keys(local: u32, first: u32, first_key: u32, chunk: u32) {
${load('right', '(8u * (row % 4u) + row / 4u)', isKey, 'k_four(first + first_key + row, four)')}
}

fn load_values(local: u32, first: u32, first_key: u32, chunk: u32) {
${load('right', 'row', isKey, 'v_four(first + first_key + row, four)')}
}`;
}

/** Masks, caps and biases the scores of a row for keys 4x … 4x + 3. */
const scoreRow = (spec: AttentionSpec, group: number) => `\
fn score_row(product: vec4<f32>, b: u32, row: u32, first_key: u32) -> vec4<f32> {
  var result = vec4<f32>(${LOWEST});
  if (row >= ${productText([spec.seq, group])}) { return result; }
  for (var i = 0u; i < 4u; i++) {
    let key = first_key + i;
    if (key < ${dimText(spec.total)}) { result[i] = score_of(product[i], b, row / ${group}u, key); }
  }
  return result;
}`;

/**
 * For many queries, keys and values in tiles, with the softmax of what was seen so far: bindings q, k, v, [bias], out.
 */
export function attentionKernel(spec: AttentionSpec): Kernel {
  const { batch, seq, total, heads, kvHeads, headDim } = spec;
  const group = heads / kvHeads;
  const fours = foursOf(headDim);
  const chunks = Array.from({ length: Math.ceil(fours / CHUNK) }, (_, chunk) => ({
    chunk,
    width: Math.min(CHUNK, fours - chunk * CHUNK),
  }));
  const each = (lines: (chunk: number, width: number) => readonly string[], indent: string) =>
    chunks
      .flatMap(({ chunk, width }) => lines(chunk, width))
      .map((line) => indent + line)
      .join('\n');
  const main = `\
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let first_row = workgroup.x * ${ROWS}u;
  let kv = workgroup.y;
  let b = workgroup.z;
  let first = (b * ${kvHeads}u + kv) * ${keyRoom(spec)};
  let x = local % 8u;
  let y = local / 8u;
  // In the softmax, four invocations have a row, a quarter of its keys each.
  let quarter = local % 4u;
  let own = (local / 4u) * 9u + 2u * quarter;
  let own_row = local - quarter;
  var most = ${LOWEST}f;
  var total_weight = 0.0;
${each((chunk) => [`var mixed${chunk} = mat2x4<f32>();`], '  ')}
  for (var first_key = 0u; first_key < ${dimText(total)}; first_key += ${ROWS}u) {
    var product = mat2x4<f32>();
    for (var chunk = 0u; chunk < ${chunks.length}u; chunk++) {
      workgroupBarrier();
      load_queries(local, b, kv, first_row, chunk);
      load_keys(local, first, first_key, chunk);
      workgroupBarrier();
      product += products(x, y, min(${CHUNK}u, ${fours}u - ${CHUNK}u * chunk));
    }
    scores[y * 9u + x] = score_row(product[0], b, first_row + y, first_key + 4u * x);
    scores[(y + 16u) * 9u + x] = score_row(product[1], b, first_row + y + 16u, first_key + 4u * x);
    workgroupBarrier();
    var low = scores[own];
    var high = scores[own + 1u];
    let larger = max(low, high);
    parts[local] = max(max(larger.x, larger.y), max(larger.z, larger.w));
    workgroupBarrier();
    let before = most;
    most = max(most, max(max(parts[own_row], parts[own_row + 1u]), max(parts[own_row + 2u], parts[own_row + 3u])));
    low = exp_below(low - most);
    high = exp_below(high - most);
    scores[own] = low;
    scores[own + 1u] = high;
    sums[local] = dot(low + high, vec4<f32>(1.0));
    let factor = exp_below(vec4<f32>(before - most)).x;
    if (quarter == 0u) { factors[local / 4u] = factor; }
    workgroupBarrier();
    total_weight = total_weight * factor + sums[own_row] + sums[own_row + 1u] + sums[own_row + 2u] + sums[own_row + 3u];
${each((chunk) => [...(chunk === 0 ? [] : ['workgroupBarrier();']), `load_values(local, first, first_key, ${chunk}u);`, 'workgroupBarrier();', `mixed${chunk} = mix(mixed${chunk}, x, y);`], '    ')}
  }
  workgroupBarrier();
  if (quarter == 0u) { factors[local / 4u] = 1.0 / total_weight; }
  workgroupBarrier();
  for (var i = 0u; i < 2u; i++) {
    let row = first_row + y + 16u * i;
    if (row >= ${productText([seq, group])}) { continue; }
    let at = query_row(b, kv, row);
    let scale = factors[y + 16u * i];
${each((chunk, width) => [`${width === CHUNK ? '' : `if (x < ${width}u) { `}store_four(at, ${chunk * CHUNK}u + x, mixed${chunk}[i] * scale);${width === CHUNK ? '' : ' }'}`], '    ')}
  }
}`;
  return {
    name: `attention_${attentionName(spec)}`,
    doc: `${attentionFormula(spec)}: a workgroup has ${ROWS} queries and sees keys and values in tiles of ${ROWS}, with the softmax of what was seen so far.`,
    bindings: [...attentionInputs(spec), headsBinding('out', headDim, 'read_write')],
    body: [
      MEMORY,
      ...['q', 'k', 'v'].map((name) => fourReader(name, headDim)),
      fourWriter('out', headDim),
      ...scoreFunctions(spec),
      scoreRow(spec, group),
      EXP_BELOW.replaceAll('f32', 'vec4<f32>').replace('-100.0', 'vec4<f32>(-100.0)'),
      loads(spec, fours),
      TILE_PRODUCTS,
      main,
    ]
      .join('\n\n')
      .replaceAll(/\/\*\* (.*) \*\//g, '// $1'),
    grid: [{ factors: [seq, group], divide: ROWS }, fixedAxis(kvHeads), { factors: [batch], divide: 1 }],
  };
}
