import type { Dim } from '../../../ir/dim.ts';
import { CAPACITY } from '../bundle/plan.ts';
import type { Kernel } from './kernel.ts';

/** A size as WGSL of type u32: `dims.past + dims.seq`, `72u`. */
export function dimText(dim: Dim): string {
  if (typeof dim === 'number') return `${dim}u`;
  const parts = [
    ...dim.terms.map(([name, factor]) => ({ factor, name: `dims.${name}` })),
    ...(dim.offset === 0 ? [] : [{ factor: dim.offset, name: undefined }]),
  ];
  // u32: what is subtracted comes last
  const ordered = [...parts.filter(({ factor }) => factor > 0), ...parts.filter(({ factor }) => factor < 0)];
  const text = ordered
    .map(({ factor, name }, i) => `${i === 0 ? '' : factor < 0 ? ' - ' : ' + '}${termText(Math.abs(factor), name)}`)
    .join('');
  return parts.length > 1 ? `(${text})` : text;
}

function termText(factor: number, name: string | undefined): string {
  if (name === undefined) return `${factor}u`;
  return factor === 1 ? name : `${factor}u * ${name}`;
}

/** A product of sizes as WGSL. */
export function productText(dims: readonly Dim[]): string {
  const constant = dims.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : product), 1);
  const symbolic = dims.filter((dim) => typeof dim !== 'number').map(dimText);
  return [...symbolic, ...(constant === 1 && symbolic.length > 0 ? [] : [`${constant}u`])].join(' * ');
}

/** The axis of a shape that grows with `past`; it lies at `capacity`, so that a step moves nothing. */
export function growingAxis(shape: readonly Dim[]): number | undefined {
  const axis = shape.findIndex((dim) => typeof dim !== 'number' && dim.terms.some(([name]) => name === 'past'));
  return axis < 0 ? undefined : axis;
}

/** The shape that a value has in memory: its own, with the room of what grows. */
export function storedShape(shape: readonly Dim[]): readonly Dim[] {
  const growing = growingAxis(shape);
  return shape.map((dim, axis) => (axis === growing ? { terms: [[CAPACITY, 1]] as const, offset: 0 } : dim));
}

/** Elements between neighbours along each axis, as WGSL. */
export function strideTexts(shape: readonly Dim[]): readonly string[] {
  const stored = storedShape(shape);
  return stored.map((_, axis) => productText(stored.slice(axis + 1)));
}

/** A whole shader: comment, the block of sizes, bindings, body. */
export function shaderText(
  { doc, bindings }: Pick<Kernel, 'doc' | 'bindings'>,
  body: string,
  symbols: readonly string[],
  features: readonly string[] = [],
): string {
  const enables = features.flatMap(
    (feature) =>
      ({
        'shader-f16': ['enable f16;'],
        subgroups: ['enable subgroups;'],
        packed_4x8_integer_dot_product: ['requires packed_4x8_integer_dot_product;'],
      })[feature] ?? [],
  );
  return [
    ...doc.split('\n').map((line) => `// ${line}`),
    ...enables,
    '',
    `struct Dims { ${symbols.map((name) => `${name}: u32`).join(', ')} }`,
    '@group(0) @binding(0) var<uniform> dims: Dims;',
    ...bindings.map(
      ({ name, type, access }, i) => `@group(0) @binding(${i + 1}) var<storage, ${access}> ${name}: ${type};`,
    ),
    '',
    body.trim(),
    '',
  ].join('\n');
}
