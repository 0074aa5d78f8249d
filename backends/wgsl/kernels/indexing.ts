import { sameDim, type Dim } from '../../../ir/dim.ts';
import { dimText, growingAxis, productText, strideTexts } from './wgsl_text.ts';

/** Invocations of a workgroup where each makes one element. */
export const ELEMENTS = 256;

/** `main` where invocation `index` (u32, below `count`) makes one element; the grid's x is count / ELEMENTS. */
export function perElement(count: string, statements: readonly string[]): string {
  return [
    `@compute @workgroup_size(${ELEMENTS})`,
    'fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {',
    `  let index = (workgroup.y * workgroups.x + workgroup.x) * ${ELEMENTS}u + local;`,
    `  if (index >= ${count}) { return; }`,
    ...statements.map((line) => `  ${line}`),
    '}',
  ].join('\n');
}

/** Coordinates of element `index` in C order, as WGSL expressions. */
export function coordinateTexts(index: string, shape: readonly Dim[]): readonly string[] {
  const first = shape.findIndex((dim) => dim !== 1);
  return shape.map((dim, axis) => {
    if (dim === 1) return '0u';
    const inner = productText(shape.slice(axis + 1).filter((d) => d !== 1));
    const quotient = inner === '1u' ? index : `${index} / ${inner.includes('*') ? `(${inner})` : inner}`;
    return axis === first ? quotient : `(${quotient}) % ${dimText(dim)}`;
  });
}

/** Where an element lies in memory: what grows lies at capacity. */
export function offsetText(coordinates: readonly string[], shape: readonly Dim[]): string {
  return sumText(coordinates, strideTexts(shape));
}

/** The number of an element in C order. */
export function flatText(coordinates: readonly string[], shape: readonly Dim[]): string {
  return sumText(
    coordinates,
    shape.map((_, axis) => productText(shape.slice(axis + 1))),
  );
}

function sumText(coordinates: readonly string[], strides: readonly string[]): string {
  const terms = coordinates.flatMap((c, axis) =>
    c === '0u' ? [] : [strides[axis] === '1u' ? c : `${wrapped(c)} * ${strides[axis]}`],
  );
  return terms.length === 0 ? '0u' : terms.join(' + ');
}

/** A text that may stand beside any operator. */
export function wrapped(text: string): string {
  return /^[\w.]+$|^\([^()]*\)$/.test(text) ? text : `(${text})`;
}

/** Whether elements lie in memory in C order without gaps: the number of an element is where it lies. */
export function isPacked(shape: readonly Dim[]): boolean {
  const axis = growingAxis(shape);
  return axis === undefined || shape.slice(0, axis).every((dim) => dim === 1);
}

/** Whether two shapes differ in axes of size 1 only. */
export function sameUpToOnes(a: readonly Dim[], b: readonly Dim[]): boolean {
  const x = a.filter((dim) => dim !== 1);
  const y = b.filter((dim) => dim !== 1);
  return x.length === y.length && x.every((dim, axis) => sameDim(dim, y[axis]!));
}
