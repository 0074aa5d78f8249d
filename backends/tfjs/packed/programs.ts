import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { PackedShape } from './shape.ts';

/** What tfjs's webgpu backend takes as a program (webgpu_program.ts); it writes the bindings and `uniforms` itself. */
export interface WebgpuProgram {
  readonly outputShape: number[];
  readonly variableNames: string[];
  readonly variableComponents: number[];
  readonly uniforms: string;
  readonly shaderKey: string;
  readonly workgroupSize: [number, number, number];
  readonly dispatchLayout: { x: number[]; y: number[] };
  dispatch: [number, number, number];
  getUserCode(): string;
}

export interface Uniform {
  readonly type: 'int32';
  readonly data: number[];
}

/** What programs need of tfjs's webgpu backend, which has it public but does not type it for others. */
export interface ProgramBackend {
  runWebGPUProgram(
    program: WebgpuProgram,
    inputs: readonly TensorInfo[],
    dtype: 'float32' | 'int32',
    uniforms: readonly Uniform[],
  ): TensorInfo;
}

/** Numbers as uniforms, in order. */
export function uniforms(...values: readonly number[]): Uniform[] {
  return values.map((value) => ({ type: 'int32', data: [value] }));
}

/**
 * Numbers of the shape that shaders read: they must read `uniforms`, or WebGPU drops the binding that tfjs gives them.
 */
const UNIFORMS = 'columns : i32, outputs : i32, rows : i32, group : i32, words : i32, blocks : i32,';

/** Values of UNIFORMS, in order. */
export function uniformsOf({ columns, outputs, rows, group, words, blocks }: PackedShape): Uniform[] {
  return uniforms(columns, outputs, rows, group, words, blocks);
}

/** Rows of x up to which each goes through the matrix alone. */
const MOST_VECTOR_ROWS = 4;

/** The kernel for this many rows. */
export function packedProgram(shape: PackedShape, hasZeros: boolean): WebgpuProgram {
  return shape.rows <= MOST_VECTOR_ROWS ? matvec(shape, hasZeros) : tiled(shape, hasZeros);
}

const names = (hasZeros: boolean) => ['x', 'codes', 'scales', ...(hasZeros ? ['zeros'] : [])];

/** WGSL that unpacks a word and tells the zero point of a block of a row, which a codebook has at 0. */
function reading({ bits, codebook }: PackedShape, hasZeros: boolean): string {
  const perWord = 32 / bits;
  const mask = 2 ** bits - 1;
  const zero = hasZeros
    ? `  let index = row * uniforms.blocks + block;
  return f32((bitcast<u32>(zeros[index / ${perWord}]) >> (${bits}u * u32(index % ${perWord}))) & ${mask}u);`
    : `  return ${codebook ? 0 : 2 ** (bits - 1)}.0;`;
  const codes = `(vec4<u32>(bitcast<u32>(word)) >> (vec4<u32>(0u, ${bits}u, ${2 * bits}u, ${3 * bits}u) + vec4<u32>(shift))) & vec4<u32>(${mask}u)`;
  return `
// The zero point of a block.
fn zero_of(row : i32, block : i32) -> f32 {
${zero}
}

${
  codebook
    ? `const levels = array<f32, ${codebook.length}>(${codebook.join(', ')});

// What four codes of a word from a shift on mean.
fn codes_of(word : i32, shift : u32) -> vec4<f32> {
  let codes = ${codes};
  return vec4<f32>(levels[codes.x], levels[codes.y], levels[codes.z], levels[codes.w]);
}`
    : `// Four codes of a word from a shift on.
fn codes_of(word : i32, shift : u32) -> vec4<f32> {
  return vec4<f32>(${codes});
}`
}
`;
}

/** Equal where `reading` gives equal text. */
function readingKey({ bits, codebook = [] }: PackedShape, hasZeros: boolean): string {
  return [bits, hasZeros, ...codebook].join('_');
}

/** Rows of the matrix of a workgroup. */
const VECTOR_OUTPUTS = 4;
const LANES = 64;

/**
 * One row of x: the lanes of a workgroup share four rows of the matrix, each lane every 64th word of them, so that
 * neighbours read neighbouring words; sums meet in workgroup memory. Σ (code − zero) · x is Σ code · x − zero · Σ x.
 */
function matvec(shape: PackedShape, hasZeros: boolean): WebgpuProgram {
  const { bits, rows, outputs } = shape;
  const perWord = 32 / bits;
  const fours = perWord / 4;
  const outs = Array.from({ length: VECTOR_OUTPUTS }, (_, i) => i);
  return {
    outputShape: [rows, outputs],
    variableNames: names(hasZeros),
    variableComponents: names(hasZeros).map(() => 1),
    uniforms: UNIFORMS,
    shaderKey: `pg_matvec_${readingKey(shape, hasZeros)}`,
    workgroupSize: [LANES, 1, 1],
    // not flat: a workgroup makes four results
    dispatchLayout: { x: [1], y: [0] },
    dispatch: [Math.ceil(outputs / VECTOR_OUTPUTS), rows, 1],
    getUserCode: () => `
var<workgroup> sums : array<vec4<f32>, ${LANES}>;
${reading(shape, hasZeros)}
fn x_four(row : i32, column : i32) -> vec4<f32> {
  let at = row * uniforms.columns + column;
  let left = uniforms.columns - column;
  if (left >= 4) { return vec4<f32>(x[at], x[at + 1], x[at + 2], x[at + 3]); }
  var four = vec4<f32>();
  for (var i = 0; i < left; i++) { four[i] = x[at + i]; }
  return four;
}

fn main() {
  let lane = i32(localIndex);
  let first = i32(workgroupId.x) * ${VECTOR_OUTPUTS};
  let row = i32(workgroupId.y);
  var total = vec4<f32>();
  for (var word = lane; word < uniforms.words; word += ${LANES}) {
    let column = word * ${perWord};
    let block = column / uniforms.group;
${Array.from({ length: fours }, (_, f) => `    let x${f} = x_four(row, column + ${4 * f});`).join('\n')}
    let x_sum = dot(${Array.from({ length: fours }, (_, f) => `x${f}`).join(' + ')}, vec4<f32>(1.0));
${outs
  .map(
    (o) => `    {
      let n = min(first + ${o}, uniforms.outputs - 1);
      let bits = codes[n * uniforms.words + word];
      let product = ${Array.from({ length: fours }, (_, f) => `dot(codes_of(bits, ${f * 4 * bits}u), x${f})`).join(' + ')};
      total[${o}] += scales[n * uniforms.blocks + block] * (product - zero_of(n, block) * x_sum);
    }`,
  )
  .join('\n')}
  }
  sums[lane] = total;
  workgroupBarrier();
  for (var half = ${LANES / 2}; half > 0; half /= 2) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  if (lane < ${VECTOR_OUTPUTS} && first + lane < uniforms.outputs) { result[row * uniforms.outputs + first + lane] = sums[0][lane]; }
}
`,
  };
}

/** Rows of x and of the matrix of a tile, and columns of both at a time. */
const TILE = 32;
const STRIDE = TILE + 1;
const SIDE = 16;

/** Many rows of x: tiles of 32 x 32 results; words become numbers once for all rows of a tile, in workgroup memory. */
function tiled(shape: PackedShape, hasZeros: boolean): WebgpuProgram {
  const { bits, rows, outputs } = shape;
  const perWord = 32 / bits;
  const wordsPerTile = TILE / perWord;
  return {
    outputShape: [rows, outputs],
    variableNames: names(hasZeros),
    variableComponents: names(hasZeros).map(() => 1),
    uniforms: UNIFORMS,
    shaderKey: `pg_tiled_${readingKey(shape, hasZeros)}`,
    workgroupSize: [SIDE, SIDE, 1],
    dispatchLayout: { x: [1], y: [0] },
    dispatch: [Math.ceil(outputs / TILE), Math.ceil(rows / TILE), 1],
    getUserCode: () => `
var<workgroup> x_tile : array<f32, ${TILE * STRIDE}>;
var<workgroup> w_tile : array<f32, ${TILE * STRIDE}>;
${reading(shape, hasZeros)}
fn main() {
  let lane = i32(localIndex);
  let first_output = i32(workgroupId.x) * ${TILE};
  let first_row = i32(workgroupId.y) * ${TILE};
  let right = i32(localId.x);
  let down = i32(localId.y);
  var total = vec4<f32>();
  for (var depth = 0; depth < uniforms.columns; depth += ${TILE}) {
    for (var i = lane; i < ${TILE * TILE}; i += ${SIDE * SIDE}) {
      let row = first_row + i / ${TILE};
      let column = depth + i % ${TILE};
      var value = 0.0;
      if (row < uniforms.rows && column < uniforms.columns) { value = x[row * uniforms.columns + column]; }
      x_tile[i / ${TILE} * ${STRIDE} + i % ${TILE}] = value;
    }
    for (var i = lane; i < ${TILE * wordsPerTile}; i += ${SIDE * SIDE}) {
      let n = min(first_output + i / ${wordsPerTile}, uniforms.outputs - 1);
      let word = depth / ${perWord} + i % ${wordsPerTile};
      let inside = min(word, uniforms.words - 1);
      let block = inside * ${perWord} / uniforms.group;
      let scale = scales[n * uniforms.blocks + block];
      let zero = zero_of(n, block);
      let bits = codes[n * uniforms.words + inside];
      let at = i / ${wordsPerTile} * ${STRIDE} + i % ${wordsPerTile} * ${perWord};
      for (var four = 0; four < ${perWord / 4}; four++) {
        let values = (codes_of(bits, u32(four) * ${4 * bits}u) - vec4<f32>(zero)) * scale;
        w_tile[at + 4 * four] = values.x;
        w_tile[at + 4 * four + 1] = values.y;
        w_tile[at + 4 * four + 2] = values.z;
        w_tile[at + 4 * four + 3] = values.w;
      }
    }
    workgroupBarrier();
    for (var k = 0; k < ${TILE}; k++) {
      let a0 = x_tile[down * ${STRIDE} + k];
      let a1 = x_tile[(down + ${SIDE}) * ${STRIDE} + k];
      let b0 = w_tile[right * ${STRIDE} + k];
      let b1 = w_tile[(right + ${SIDE}) * ${STRIDE} + k];
      total += vec4<f32>(a0 * b0, a0 * b1, a1 * b0, a1 * b1);
    }
    workgroupBarrier();
  }
  for (var i = 0; i < 4; i++) {
    let row = first_row + down + ${SIDE} * (i / 2);
    let n = first_output + right + ${SIDE} * (i % 2);
    if (row < uniforms.rows && n < uniforms.outputs) { result[row * uniforms.outputs + n] = total[i]; }
  }
}
`,
  };
}
