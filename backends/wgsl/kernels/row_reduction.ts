import type { Dim } from '../../../ir/dim.ts';
import { coordinateTexts, offsetText } from './indexing.ts';
import type { GridAxis } from './kernel.ts';
import { dimText, productText } from './wgsl_text.ts';

/** Invocations that share a row: more than a short row has elements would only wait. */
export function rowThreads(width: Dim): number {
  return typeof width === 'number' && width <= 256 ? 64 : 256;
}

/**
 * Workgroup memory and `fn <name>(value: f32) -> f32`, the reduction of a value of each of `threads` invocations, which
 * all get it. Every invocation must call it.
 */
function reduction(name: string, threads: number, combine: (a: string, b: string) => string): string {
  return `\
var<workgroup> ${name}_parts: array<f32, ${threads}>;
fn ${name}(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  ${name}_parts[local] = value;
  workgroupBarrier();
  for (var half = ${threads / 2}u; half > 0u; half /= 2u) {
    if (local < half) { ${name}_parts[local] = ${combine(`${name}_parts[local]`, `${name}_parts[local + half]`)}; }
    workgroupBarrier();
  }
  return ${name}_parts[0];
}`;
}

export const sumOver = (threads: number): string => reduction('sum', threads, (a, b) => `${a} + ${b}`);
export const largestOf = (threads: number): string => reduction('largest', threads, (a, b) => `max(${a}, ${b})`);

/**
 * `main` of one workgroup a row of the last axis; the statements see `row`, `start` (where it lies in memory), `width`
 * and `local`.
 */
export function perRow(shape: readonly Dim[], threads: number, statements: string): string {
  const rows = shape.slice(0, -1);
  return `\
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= ${productText(rows)}) { return; }
  let start = ${offsetText([...coordinateTexts('row', rows).map((text) => (/^\w+$/.test(text) ? text : `(${text})`)), '0u'], shape)};
  let width = ${dimText(shape.at(-1)!)};
${statements}
}`;
}

/** One workgroup a row. */
export function rowGrid(shape: readonly Dim[]): GridAxis {
  return { factors: shape.slice(0, -1), divide: 1 };
}
