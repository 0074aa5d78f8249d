import { MANIFEST_PATH, SHARD_BYTES, WEIGHT_ALIGNMENT } from './manifest.ts';
import { ManifestError } from './manifest_error.ts';
import { CAPACITY, type Extent, type Phase, type Plan, type PlannedValue, type Size, type Step } from './plan.ts';

/**
 * Every index in range, every range within its shard, every path within the bundle, no step that WebGPU would refuse
 * for what it binds.
 * @throws ManifestError `damaged`
 */
export function checkPlan(plan: Plan): void {
  const { symbols, shards, weights, shaders, pipelines, buffers, phases } = plan;
  unique('size', symbols);
  unique(
    'file',
    [...shards, ...shaders].map((file) => file.path),
  );
  unique(
    'weight',
    weights.map((weight) => weight.name),
  );
  unique(
    'phase',
    phases.map((phase) => phase.name),
  );
  for (const { path, byteLength } of [...shards, ...shaders]) {
    expect(
      path.split('/').every((part) => /^[\w-][\w.-]*$/.test(part)),
      `"${path}" is no path within a bundle`,
    );
    expect(byteLength > 0 && byteLength <= SHARD_BYTES, `${path} has ${byteLength} bytes`);
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
  for (const { name, shard, offset, byteLength } of weights.toSorted(
    (a, b) => a.shard - b.shard || a.offset - b.offset,
  )) {
    index('shard', shard, shards);
    expect(offset % WEIGHT_ALIGNMENT === 0, `weight ${name} begins at ${offset}, no multiple of ${WEIGHT_ALIGNMENT}`);
    expect(
      byteLength > 0 && offset + byteLength <= shards[shard]!.byteLength,
      `weight ${name} does not lie in its shard`,
    );
    expect(offset >= (ends.get(shard) ?? 0), `weight ${name} lies over another`);
    ends.set(shard, offset + byteLength);
  }
}

function checkPhase(phase: Phase, plan: Plan): void {
  const { symbols, pipelines, buffers } = plan;
  const values = (list: readonly PlannedValue[]) => {
    for (const { name, shape, growing, buffer } of list) {
      index(`buffer of ${name}`, buffer, buffers);
      checkSizes(shape, symbols);
      if (growing === undefined) continue;
      expect(growing >= 0 && growing < shape.length, `${name} grows along axis ${growing} of ${shape.length}`);
      expect(symbols.includes(CAPACITY), `${name} grows, but there is no size called ${CAPACITY}`);
    }
  };
  for (const { symbol } of phase.fixed) index('size', symbol, symbols);
  for (const { symbol, whenZero } of phase.scalars) {
    index('size', symbol, symbols);
    checkSizes([whenZero], symbols);
  }
  for (const list of [phase.inputs, phase.outputs, phase.stages]) {
    values(list);
    unique(
      `port of ${phase.name}`,
      list.map((value) => value.name),
    );
  }
  for (const { input, output } of phase.inPlace) {
    const [from, to] = [
      phase.inputs.find(({ name }) => name === input),
      phase.outputs.find(({ name }) => name === output),
    ];
    expect(
      from !== undefined && from.buffer === to?.buffer,
      `${input} and ${output} of ${phase.name} are not one buffer`,
    );
  }
  for (const step of phase.steps) {
    index('pipeline', step.pipeline, pipelines);
    checkBindings(step, plan);
    for (const extent of step.grid) checkExtent(extent, symbols, step.label);
    values(step.produces);
  }
}

/** As many as the pipeline has; what is written is a buffer, and bound once. */
function checkBindings({ label, pipeline, bindings }: Step, { pipelines, buffers, weights }: Plan): void {
  const { access } = pipelines[pipeline]!;
  expect(bindings.length === access.length, `step ${label} has ${bindings.length} bindings for ${access.length}`);
  for (const [i, { kind, index: at }] of bindings.entries()) {
    index(kind, at, kind === 'buffer' ? buffers : weights);
    if (access[i] === 'read') continue;
    expect(kind === 'buffer', `step ${label} writes to a weight`);
    expect(
      bindings.every((other, k) => k === i || other.kind !== kind || other.index !== at),
      `step ${label} writes to buffer ${at} and binds it twice`,
    );
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
  expect(
    new Set(names).size === names.length,
    `two are called alike: ${what} ${names.find((name, i) => names.indexOf(name) !== i)}`,
  );
}

function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new ManifestError('damaged', `${MANIFEST_PATH}: ${otherwise}`);
}
