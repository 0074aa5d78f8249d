import { ByteBuffer } from 'flatbuffers';
import type { ProgramMetadata } from '../../../ir/metadata.ts';
import { sizeProblem } from '../../client/model_sizes.ts';
import {
  ACCESS,
  BINDING_KINDS,
  ELEMENT_TYPES,
  FORMAT_VERSION,
  MANIFEST_PATH,
  ROLES,
  type WgslManifest,
} from './manifest.ts';
import { ManifestError } from './manifest_error.ts';
import { checkPlan } from './check_plan.ts';
import type { Binding, Extent, Phase, Pipeline, Plan, PlannedBuffer, PlannedValue, Size, Step } from './plan.ts';
import { Contents } from './generated/contents.ts';
import type { Buffer as FbBuffer } from './generated/buffer.ts';
import type { Extent as FbExtent } from './generated/extent.ts';
import { Manifest } from './generated/manifest.ts';
import type { Model } from './generated/model.ts';
import type { Phase as FbPhase } from './generated/phase.ts';
import type { Pipeline as FbPipeline } from './generated/pipeline.ts';
import type { Size as FbSize } from './generated/size.ts';
import type { ShaderFile as FbShaderFile } from './generated/shader-file.ts';
import type { Shard as FbShard } from './generated/shard.ts';
import type { Step as FbStep } from './generated/step.ts';
import type { Value } from './generated/value.ts';

/** Elements and characters that a manifest may have: twenty times those of the largest PaliGemma. */
const MOST_ELEMENTS = 1 << 22;

/**
 * Reads `manifest.pgw`. Nothing of it is used before its hash is found right and every index in range. Whatever the
 * bytes, it ends soon: a hash says that they are what was written, not that whoever wrote them meant well.
 * @throws ManifestError `newer` for a later version's, `damaged` for anything else that is no manifest
 */
export async function readManifest(bytes: Uint8Array): Promise<WgslManifest> {
  const contents = await checkedContents(bytes);
  const manifest = new Reader(contents.byteLength).manifest(Contents.getRootAsContents(new ByteBuffer(contents)));
  checkPlan(manifest.plan);
  return manifest;
}

/** The contents behind a right hash. The envelope is small and read with every offset checked. */
async function checkedContents(bytes: Uint8Array): Promise<Uint8Array> {
  const damaged = (what: string) =>
    new ManifestError('damaged', `${MANIFEST_PATH} ${what}: fetch or convert the bundle again`);
  const buffer = new ByteBuffer(bytes);
  if (bytes.byteLength < 32 || !Manifest.bufferHasIdentifier(buffer)) throw damaged('is no manifest of a WGSL bundle');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const root = view.getUint32(0, true);
  const table = root + 4 <= bytes.byteLength ? root - view.getInt32(root, true) : -1;
  if (table < 0 || table + 10 > bytes.byteLength) throw damaged('is damaged');
  const manifest = Manifest.getRootAsManifest(buffer);
  const version = manifest.version();
  if (version > FORMAT_VERSION)
    throw new ManifestError(
      'newer',
      `${MANIFEST_PATH} has version ${version}, this runtime reads up to ${FORMAT_VERSION}: update pgconv, or convert with this version`,
    );
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
  return start + 4 + length > view.byteLength
    ? undefined
    : new Uint8Array(view.buffer, view.byteOffset + start + 4, length);
}

/**
 * Tables as plain objects. Accessors of flatbuffers check no offset: beyond the end they see nothing or zeros, never
 * other memory. So what may go wrong is that something is not there, or that few bytes claim to be many elements, and
 * both are looked at here.
 */
class Reader {
  readonly #byteLength: number;
  #left = MOST_ELEMENTS;

  constructor(byteLength: number) {
    this.#byteLength = byteLength;
  }

  manifest(root: Contents): WgslManifest {
    return {
      precision: this.text(root.precision()),
      model: this.model(needed(root.model(), 'model')),
      plan: this.plan(root),
    };
  }

  /**
   * An element has a byte at least. Tables may be shared, so that lists in lists multiply: all elements together are
   * bounded too.
   */
  list<T, R>(count: number, at: (index: number) => T | null, read: (item: T) => R): R[] {
    this.#spend(count);
    return Array.from({ length: count }, (_, i) => read(needed(at(i), 'element')));
  }

  text(value: string | null): string {
    const text = needed(value, 'text');
    this.#spend(text.length);
    return text;
  }

  #spend(count: number): void {
    this.#left -= count;
    if (count < 0 || count > this.#byteLength || this.#left < 0)
      throw new ManifestError('damaged', `${MANIFEST_PATH}: it claims to have more elements than any model needs`);
  }

  plan(c: Contents): Plan {
    const text = (value: string) => this.text(value);
    return {
      symbols: this.list(c.symbolsLength(), (i) => c.symbols(i), text),
      shards: this.list(
        c.shardsLength(),
        (i) => c.shards(i),
        (shard) => this.file(shard),
      ),
      weights: this.list(
        c.weightsLength(),
        (i) => c.weights(i),
        (w) => ({ name: this.text(w.name()), shard: w.shard(), offset: w.offset(), byteLength: w.byteLength() }),
      ),
      shaders: this.list(
        c.shadersLength(),
        (i) => c.shaders(i),
        (shader) => this.file(shader),
      ),
      pipelines: this.list(
        c.pipelinesLength(),
        (i) => c.pipelines(i),
        (pipeline) => this.pipeline(pipeline),
      ),
      buffers: this.list(
        c.buffersLength(),
        (i) => c.buffers(i),
        (buffer) => this.buffer(buffer),
      ),
      phases: this.list(
        c.phasesLength(),
        (i) => c.phases(i),
        (phase) => this.phase(phase),
      ),
    };
  }

  file(file: FbShard | FbShaderFile) {
    const path = this.text(file.path());
    if (file.sha256Length() !== 32)
      throw new ManifestError('damaged', `${MANIFEST_PATH}: the SHA-256 of ${path} has ${file.sha256Length()} bytes`);
    const sha256 = this.list(
      32,
      (i) => file.sha256(i),
      (byte) => byte.toString(16).padStart(2, '0'),
    ).join('');
    return { path, byteLength: file.byteLength(), sha256 };
  }

  pipeline(p: FbPipeline): Pipeline {
    return {
      variants: this.list(
        p.variantsLength(),
        (i) => p.variants(i),
        (v) => ({
          shader: v.shader(),
          features: this.list(
            v.featuresLength(),
            (i) => v.features(i),
            (feature: string) => this.text(feature),
          ),
        }),
      ),
      access: this.list(
        p.accessLength(),
        (i) => p.access(i),
        (access) => named(ACCESS, access, 'access'),
      ),
    };
  }

  buffer(b: FbBuffer): PlannedBuffer {
    return {
      label: this.text(b.label()),
      role: named(ROLES, b.role(), 'role'),
      sizes: this.list(
        b.sizesLength(),
        (i) => b.sizes(i),
        (p) => ({
          factors: this.list(
            p.factorsLength(),
            (i) => p.factors(i),
            (size) => this.size(size),
          ),
          bytes: p.bytes(),
        }),
      ),
    };
  }

  size(size: FbSize): Size {
    return {
      constant: size.constant(),
      terms: this.list(
        size.termsLength(),
        (i) => size.terms(i),
        (term) => ({ symbol: term.symbol(), factor: term.factor() }),
      ),
    };
  }

  extent(extent: FbExtent): Extent {
    return {
      factors: this.list(
        extent.factorsLength(),
        (i) => extent.factors(i),
        (size) => this.size(size),
      ),
      divide: extent.divide(),
    };
  }

  value(value: Value): PlannedValue {
    const growing = value.growing();
    return {
      name: this.text(value.name()),
      type: named(ELEMENT_TYPES, value.type(), 'element type'),
      shape: this.list(
        value.shapeLength(),
        (i) => value.shape(i),
        (size) => this.size(size),
      ),
      ...(growing !== -1 && { growing }),
      buffer: value.buffer(),
    };
  }

  phase(p: FbPhase): Phase {
    const value = (v: Value) => this.value(v);
    return {
      name: this.text(p.name()),
      graph: this.text(p.graph()),
      fixed: this.list(
        p.fixedLength(),
        (i) => p.fixed(i),
        (fixed) => ({ symbol: fixed.symbol(), value: fixed.value() }),
      ),
      scalars: this.list(
        p.scalarsLength(),
        (i) => p.scalars(i),
        (scalar) => ({
          symbol: scalar.symbol(),
          input: this.text(scalar.input()),
          whenZero: this.size(needed(scalar.whenZero(), 'size')),
        }),
      ),
      inputs: this.list(p.inputsLength(), (i) => p.inputs(i), value),
      outputs: this.list(p.outputsLength(), (i) => p.outputs(i), value),
      inPlace: this.list(
        p.inPlaceLength(),
        (i) => p.inPlace(i),
        (pair) => ({ input: this.text(pair.input()), output: this.text(pair.output()) }),
      ),
      stages: this.list(p.stagesLength(), (i) => p.stages(i), value),
      steps: this.list(
        p.stepsLength(),
        (i) => p.steps(i),
        (step) => this.step(step),
      ),
    };
  }

  step(s: FbStep): Step {
    const label = this.text(s.label());
    const [x, y, z, ...more] = this.list(
      s.gridLength(),
      (i) => s.grid(i),
      (extent) => this.extent(extent),
    );
    if (!x || !y || !z || more.length > 0)
      throw new ManifestError('damaged', `${MANIFEST_PATH}: step ${label} has a grid of ${s.gridLength()} axes`);
    return {
      label,
      pipeline: s.pipeline(),
      bindings: this.list(
        s.bindingsLength(),
        (i) => s.bindings(i),
        (binding): Binding => ({
          kind: named(BINDING_KINDS, binding.kind(), 'kind of binding'),
          index: binding.index(),
        }),
      ),
      grid: [x, y, z],
      produces: this.list(
        s.producesLength(),
        (i) => s.produces(i),
        (value) => this.value(value),
      ),
    };
  }

  model(m: Model): ProgramMetadata {
    const stops = this.list(
      m.stopTokenIdsLength(),
      (i) => m.stopTokenIds(i),
      (id) => id,
    );
    const model = {
      family: this.text(m.family()),
      variant: this.text(m.variant()),
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
      ...(stops.length > 0 && { stopTokenIds: stops }),
      ...(m.maskSize() > 0 && { maskSize: m.maskSize() }),
    };
    const problem = sizeProblem(model);
    if (problem !== undefined) throw new ManifestError('damaged', `${MANIFEST_PATH}: ${problem}`);
    return model;
  }
}

function needed<T>(item: T | null | undefined, what: string): T {
  if (item === null || item === undefined)
    throw new ManifestError('damaged', `${MANIFEST_PATH}: there is no ${what} where one should be`);
  return item;
}

function named<T>(names: readonly T[], index: number, what: string): T {
  const name = names[index];
  if (name === undefined) throw new ManifestError('damaged', `${MANIFEST_PATH}: there is no ${what} ${index}`);
  return name;
}
