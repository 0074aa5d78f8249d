import { broadcastShapes } from '../../../ir/broadcast.ts';
import { printDim, type Dim } from '../../../ir/dim.ts';
import { coordinateTexts, offsetText } from './indexing.ts';
import type { Kernel } from './kernel.ts';
import { dimText } from './wgsl_text.ts';

export interface MatmulSpec {
  /** [..., M, K] */
  readonly a: readonly Dim[];
  /** [..., K, N], or [..., N, K] with transposedB; leading axes broadcast. */
  readonly b: readonly Dim[];
  readonly transposedB?: boolean;
}

/** Rows and columns of a tile: an invocation an element. */
const TILE = 16;

/** Bindings a, b, out. */
export function matmulKernel({ a, b, transposedB = false }: MatmulSpec): Kernel {
  const lead = broadcastShapes([a.slice(0, -2), b.slice(0, -2)]);
  const [m, k] = a.slice(-2) as [Dim, Dim];
  const n = (transposedB ? b.at(-2) : b.at(-1))!;
  const out = [...lead, m, n];
  const names = lead.map((_, axis) => `lead${axis}`);
  /** Coordinates of an operand's element, of those of the result. */
  const at = (shape: readonly Dim[], row: string, column: string) => {
    const own = names.slice(lead.length - (shape.length - 2));
    return offsetText([...own.map((name, axis) => (shape[axis] === 1 ? '0u' : name)), row, column], shape);
  };
  const shapeText = (shape: readonly Dim[]) => `[${shape.map(printDim).join(', ')}]`;
  const body = `\
var<workgroup> a_tile: array<array<f32, ${TILE}>, ${TILE}>;
var<workgroup> b_tile: array<array<f32, ${TILE + 1}>, ${TILE}>;

@compute @workgroup_size(${TILE}, ${TILE})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
${coordinateTexts('workgroup.z', lead)
  .map((text, axis) => `  let lead${axis} = ${text};`)
  .join('\n')}
  let row = workgroup.y * ${TILE}u + local.y;
  let column = workgroup.x * ${TILE}u + local.x;
  let rows = ${dimText(m)};
  let columns = ${dimText(n)};
  let inner = ${dimText(k)};
  var sum = 0.0;
  for (var first = 0u; first < inner; first += ${TILE}u) {
    var a_value = 0.0;
    if (row < rows && first + local.x < inner) { a_value = a[${at(a, 'row', '(first + local.x)')}]; }
    a_tile[local.y][local.x] = a_value;
    var b_value = 0.0;
${
  transposedB
    ? `    let b_column = workgroup.x * ${TILE}u + local.y;
    if (b_column < columns && first + local.x < inner) { b_value = b[${at(b, 'b_column', '(first + local.x)')}]; }
    b_tile[local.x][local.y] = b_value;`
    : `    if (column < columns && first + local.y < inner) { b_value = b[${at(b, '(first + local.y)', 'column')}]; }
    b_tile[local.y][local.x] = b_value;`
}
    workgroupBarrier();
    for (var i = 0u; i < ${TILE}u; i++) { sum += a_tile[local.y][i] * b_tile[i][local.x]; }
    workgroupBarrier();
  }
  if (row < rows && column < columns) { out[${offsetText([...names, 'row', 'column'], out)}] = sum; }
}`;
  return {
    name: transposedB ? 'matmul_transposed' : 'matmul',
    doc: `a${shapeText(a)} times b${shapeText(b)}${transposedB ? ', whose last axes are [N, K]' : ''}: a workgroup makes ${TILE} × ${TILE} elements.`,
    bindings: [
      { name: 'a', type: 'array<f32>', access: 'read' },
      { name: 'b', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
    ],
    body,
    grid: [
      { factors: [n], divide: TILE },
      { factors: [m], divide: TILE },
      { factors: lead, divide: 1 },
    ],
  };
}
