import { ByteBuffer } from 'flatbuffers';
import { ACCESS, BINDING_KINDS, ELEMENT_TYPES, FORMAT_VERSION, MANIFEST_PATH, ROLES, type ModelFacts, type WgslManifest } from './manifest.ts';
import { ManifestError } from './manifest_error.ts';
import { checkPlan } from './check_plan.ts';
import type { Extent, Phase, Plan, PlannedValue, Size, Step } from './plan.ts';
import { Contents } from './generated/contents.ts';
import type { Extent as FbExtent } from './generated/extent.ts';
import { Manifest } from './generated/manifest.ts';
import type { Model } from './generated/model.ts';
import type { Phase as FbPhase } from './generated/phase.ts';
import type { Size as FbSize } from './generated/size.ts';
import type { Step as FbStep } from './generated/step.ts';
import type { Value } from './generated/value.ts';

/**
 * Reads `manifest.pgw`. Nothing of it is used before its hash is found right and every index in range.
 * @throws ManifestError `newer` for a later version's, `damaged` for anything else that is no manifest
 */
export async function readManifest(bytes: Uint8Array): Promise<WgslManifest> {
  const contents = await checkedContents(bytes);
  const root = Contents.getRootAsContents(new ByteBuffer(contents));
  const plan = planOf(root);
  checkPlan(plan);
  return { precision: root.precision() ?? '', model: modelOf(root.model()!), plan };
}

/** The contents behind a right hash. The envelope is small and read with every offset checked. */
async function checkedContents(bytes: Uint8Array): Promise<Uint8Array> {
  const damaged = (what: string) => new ManifestError('damaged', `${MANIFEST_PATH} ${what}: fetch or convert the bundle again`);
  const buffer = new ByteBuffer(bytes);
  if (bytes.byteLength < 32 || !Manifest.bufferHasIdentifier(buffer)) throw damaged('is no manifest of a WGSL bundle');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const root = view.getUint32(0, true);
  const table = root + 4 <= bytes.byteLength ? root - view.getInt32(root, true) : -1;
  if (table < 0 || table + 10 > bytes.byteLength) throw damaged('is damaged');
  const manifest = Manifest.getRootAsManifest(buffer);
  const version = manifest.version();
  if (version > FORMAT_VERSION) throw new ManifestError('newer', `${MANIFEST_PATH} has version ${version}, this runtime reads up to ${FORMAT_VERSION}: update pgconv, or convert with this version`);
  const hash = vector(view, root, table, 6);
  const contents = vector(view, root, table, 8);
  if (version !== FORMAT_VERSION || hash?.byteLength !== 32 || !contents) throw damaged('is damaged');
  // flatbuffers want their root at an aligned place
  const copy = contents.slice();
  const found = new Uint8Array(await crypto.subtle.digest('SHA-256', copy));
  if (!found.every((byte, i) => byte === hash[i])) throw damaged('is damaged (its SHA-256 is another)');
  return copy;
}

/** The bytes of a vector of bytes in the root table; undefined when it does not lie in the file. */
function vector(view: DataView, root: number, table: number, field: number): Uint8Array | undefined {
  if (view.getUint16(table, true) <= field || table + field + 2 > view.byteLength) return undefined;
  const at = root + view.getUint16(table + field, true);
  if (at + 4 > view.byteLength) return undefined;
  const start = at + view.getUint32(at, true);
  if (start + 4 > view.byteLength) return undefined;
  const length = view.getUint32(start, true);
  return start + 4 + length > view.byteLength ? undefined : new Uint8Array(view.buffer, view.byteOffset + start + 4, length);
}

function list<T>(count: number, at: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => at(i));
}

function named<T>(names: readonly T[], index: number | null, what: string): T {
  const name = names[index ?? -1];
  if (name === undefined) throw new ManifestError('damaged', `${MANIFEST_PATH}: there is no ${what} ${index}`);
  return name;
}

function planOf(c: Contents): Plan {
  return {
    symbols: list(c.symbolsLength(), (i) => c.symbols(i)),
    shards: list(c.shardsLength(), (i) => fileOf(c.shards(i)!)),
    weights: list(c.weightsLength(), (i) => {
      const w = c.weights(i)!;
      return { name: w.name()!, shard: w.shard(), offset: w.offset(), byteLength: w.byteLength() };
    }),
    shaders: list(c.shadersLength(), (i) => fileOf(c.shaders(i)!)),
    pipelines: list(c.pipelinesLength(), (i) => {
      const p = c.pipelines(i)!;
      return {
        variants: list(p.variantsLength(), (k) => {
          const v = p.variants(k)!;
          return { shader: v.shader(), features: list(v.featuresLength(), (f) => v.features(f)) };
        }),
        access: list(p.accessLength(), (k) => named(ACCESS, p.access(k), 'access')),
      };
    }),
    buffers: list(c.buffersLength(), (i) => {
      const b = c.buffers(i)!;
      return {
        label: b.label()!,
        role: named(ROLES, b.role(), 'role'),
        sizes: list(b.sizesLength(), (k) => {
          const p = b.sizes(k)!;
          return { factors: list(p.factorsLength(), (f) => sizeFrom(p.factors(f)!)), bytes: p.bytes() };
        }),
      };
    }),
    phases: list(c.phasesLength(), (i) => phaseOf(c.phases(i)!)),
  };
}

function fileOf(file: { path(): string | null; byteLength(): number; sha256Array(): Uint8Array | null }) {
  return { path: file.path()!, byteLength: file.byteLength(), sha256: Array.from(file.sha256Array()!, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}

function sizeFrom(size: FbSize): Size {
  return {
    constant: size.constant(),
    terms: list(size.termsLength(), (i) => {
      const term = size.terms(i)!;
      return { symbol: term.symbol(), factor: term.factor() };
    }),
  };
}

function extentFrom(extent: FbExtent): Extent {
  return { factors: list(extent.factorsLength(), (i) => sizeFrom(extent.factors(i)!)), divide: extent.divide() };
}

function valueOf(value: Value): PlannedValue {
  const growing = value.growing();
  return {
    name: value.name()!,
    type: named(ELEMENT_TYPES, value.type(), 'element type'),
    shape: list(value.shapeLength(), (i) => sizeFrom(value.shape(i)!)),
    ...(growing >= 0 && { growing }),
    buffer: value.buffer(),
  };
}

function phaseOf(p: FbPhase): Phase {
  return {
    name: p.name()!,
    graph: p.graph()!,
    fixed: list(p.fixedLength(), (i) => {
      const fixed = p.fixed(i)!;
      return { symbol: fixed.symbol(), value: fixed.value() };
    }),
    scalars: list(p.scalarsLength(), (i) => {
      const scalar = p.scalars(i)!;
      return { symbol: scalar.symbol(), input: scalar.input()!, whenZero: sizeFrom(scalar.whenZero()!) };
    }),
    inputs: list(p.inputsLength(), (i) => valueOf(p.inputs(i)!)),
    outputs: list(p.outputsLength(), (i) => valueOf(p.outputs(i)!)),
    inPlace: list(p.inPlaceLength(), (i) => {
      const pair = p.inPlace(i)!;
      return { input: pair.input()!, output: pair.output()! };
    }),
    stages: list(p.stagesLength(), (i) => valueOf(p.stages(i)!)),
    steps: list(p.stepsLength(), (i) => stepOf(p.steps(i)!)),
  };
}

function stepOf(s: FbStep): Step {
  if (s.gridLength() !== 3) throw new ManifestError('damaged', `${MANIFEST_PATH}: step ${s.label()} has a grid of ${s.gridLength()} axes`);
  return {
    label: s.label()!,
    pipeline: s.pipeline(),
    bindings: list(s.bindingsLength(), (i) => {
      const binding = s.bindings(i)!;
      return { kind: named(BINDING_KINDS, binding.kind(), 'kind of binding'), index: binding.index() };
    }),
    grid: [extentFrom(s.grid(0)!), extentFrom(s.grid(1)!), extentFrom(s.grid(2)!)],
    produces: list(s.producesLength(), (i) => valueOf(s.produces(i)!)),
  };
}

function modelOf(m: Model): ModelFacts {
  return {
    family: m.family()!,
    variant: m.variant()!,
    imageSize: m.imageSize(),
    imageTokens: m.imageTokens(),
    imageTokenId: m.imageTokenId(),
    vocabSize: m.vocabSize(),
    layers: m.layers(),
    kvHeads: m.kvHeads(),
    headDim: m.headDim(),
    hiddenSize: m.hiddenSize(),
    bosTokenId: m.bosTokenId(),
    eosTokenId: m.eosTokenId(),
    padTokenId: m.padTokenId(),
    maxPositions: m.maxPositions(),
    ...(m.retrievalWidth() > 0 && { retrievalWidth: m.retrievalWidth() }),
  };
}
