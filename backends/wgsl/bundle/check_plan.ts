import { MANIFEST_PATH, WEIGHT_ALIGNMENT } from './manifest.ts';
import { ManifestError } from './manifest_error.ts';
import type { Extent, Phase, Plan, PlannedValue, Size } from './plan.ts';

/** A buffer that every WebGPU device can make and bind whole. */
const MAX_SHARD_BYTES = 128 * 1024 * 1024;

/** Every index in range, every range within its shard, every path within the bundle. @throws ManifestError `damaged` */
export function checkPlan(plan: Plan): void {
  const { symbols, shards, weights, shaders, pipelines, buffers, phases } = plan;
  unique('size', symbols);
  unique('file', [...shards, ...shaders].map((file) => file.path));
  unique('phase', phases.map((phase) => phase.name));
  for (const { path, byteLength } of [...shards, ...shaders]) {
    expect(/^[\w.-]+(\/[\w.-]+)*$/.test(path) && !path.split('/').includes('..'), `"${path}" is no path within a bundle`);
    expect(byteLength > 0 && byteLength <= MAX_SHARD_BYTES, `${path} has ${byteLength} bytes`);
  }
  checkWeights(plan);
  for (const { variants, access } of pipelines) {
    expect(variants.length > 0 && access.length > 0, 'a pipeline has no shader or no binding');
    for (const { shader } of variants) index('shader', shader, shaders);
  }
  for (const { sizes } of buffers) for (const { factors } of sizes) checkSizes(factors, symbols);
  for (const phase of phases) checkPhase(phase, plan);
  expect(weights.length > 0 || phases.length > 0, 'there is nothing in it');
}

/** Ranges are aligned, lie within their shard, and apart from each other. */
function checkWeights({ shards, weights }: Plan): void {
  const ends = new Map<number, number>();
  for (const { name, shard, offset, byteLength } of weights.toSorted((a, b) => a.shard - b.shard || a.offset - b.offset)) {
    index('shard', shard, shards);
    expect(offset % WEIGHT_ALIGNMENT === 0, `weight ${name} begins at ${offset}, no multiple of ${WEIGHT_ALIGNMENT}`);
    expect(byteLength > 0 && offset + byteLength <= shards[shard]!.byteLength, `weight ${name} does not lie in its shard`);
    expect(offset >= (ends.get(shard) ?? 0), `weight ${name} lies over another`);
    ends.set(shard, offset + byteLength);
  }
}

function checkPhase(phase: Phase, { symbols, weights, pipelines, buffers }: Plan): void {
  const values = (list: readonly PlannedValue[]) => {
    for (const { name, shape, growing, buffer } of list) {
      index(`buffer of ${name}`, buffer, buffers);
      checkSizes(shape, symbols);
      expect(growing === undefined || growing < shape.length, `${name} grows along axis ${growing} of ${shape.length}`);
    }
  };
  for (const { symbol } of phase.fixed) index('size', symbol, symbols);
  for (const { symbol, whenZero } of phase.scalars) {
    index('size', symbol, symbols);
    checkSizes([whenZero], symbols);
  }
  for (const list of [phase.inputs, phase.outputs, phase.stages]) {
    values(list);
    unique(`port of ${phase.name}`, list.map((value) => value.name));
  }
  for (const { label, pipeline, bindings, grid, produces } of phase.steps) {
    index('pipeline', pipeline, pipelines);
    expect(bindings.length === pipelines[pipeline]!.access.length, `step ${label} has ${bindings.length} bindings for ${pipelines[pipeline]!.access.length}`);
    for (const { kind, index: at } of bindings) index(kind, at, kind === 'buffer' ? buffers : weights);
    for (const extent of grid) checkExtent(extent, symbols, label);
    values(produces);
  }
}

function checkExtent({ factors, divide }: Extent, symbols: readonly string[], label: string): void {
  checkSizes(factors, symbols);
  expect(divide > 0, `the grid of step ${label} is divided by ${divide}`);
}

function checkSizes(sizes: readonly Size[], symbols: readonly string[]): void {
  for (const { terms } of sizes) for (const { symbol } of terms) index('size', symbol, symbols);
}

function index(what: string, at: number, list: readonly unknown[]): void {
  expect(at < list.length, `there is no ${what} ${at}`);
}

function unique(what: string, names: readonly string[]): void {
  expect(new Set(names).size === names.length, `two are called alike: ${what} ${names.find((name, i) => names.indexOf(name) !== i)}`);
}

function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new ManifestError('damaged', `${MANIFEST_PATH}: ${otherwise}`);
}
