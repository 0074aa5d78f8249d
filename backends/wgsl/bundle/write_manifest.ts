import { Builder, type Offset } from 'flatbuffers';
import { ACCESS, BINDING_KINDS, ELEMENT_TYPES, FORMAT_VERSION, ROLES, type WgslManifest } from './manifest.ts';
import type { Extent, Phase, PlannedValue, Size, Step } from './plan.ts';
import { Binding } from './generated/binding.ts';
import { Buffer as FbBuffer } from './generated/buffer.ts';
import { Contents } from './generated/contents.ts';
import { Extent as FbExtent } from './generated/extent.ts';
import { FixedSize } from './generated/fixed-size.ts';
import { InPlace } from './generated/in-place.ts';
import { Manifest } from './generated/manifest.ts';
import { Model } from './generated/model.ts';
import { Phase as FbPhase } from './generated/phase.ts';
import { Pipeline } from './generated/pipeline.ts';
import { Product } from './generated/product.ts';
import { ScalarSymbol } from './generated/scalar-symbol.ts';
import { ShaderFile } from './generated/shader-file.ts';
import { Shard } from './generated/shard.ts';
import { Size as FbSize } from './generated/size.ts';
import { Step as FbStep } from './generated/step.ts';
import { Term } from './generated/term.ts';
import { Value } from './generated/value.ts';
import { Variant } from './generated/variant.ts';
import { WeightRange } from './generated/weight-range.ts';

/** The bytes of `manifest.pgw`. Their number does not depend on the hashes in the plan. */
export async function manifestBytes(manifest: WgslManifest): Promise<Uint8Array> {
  const contents = contentsBytes(manifest);
  return envelope(contents, new Uint8Array(await crypto.subtle.digest('SHA-256', contents)));
}

/** How many bytes it will have. */
export function manifestByteLength(manifest: WgslManifest): number {
  return envelope(contentsBytes(manifest), new Uint8Array(32)).byteLength;
}

function envelope(contents: Uint8Array, hash: Uint8Array): Uint8Array {
  const b = new Builder(contents.byteLength + 128);
  const inner = Manifest.createContentsVector(b, contents);
  const sha256 = Manifest.createSha256Vector(b, hash);
  Manifest.finishManifestBuffer(b, Manifest.createManifest(b, FORMAT_VERSION, sha256, inner));
  return b.asUint8Array();
}

/** Structures that occur again are written once: most steps have the grids and shapes of their neighbours. */
class Tables {
  readonly b = new Builder(64 * 1024);
  readonly #known = new Map<string, Offset>();

  text(value: string): Offset {
    return this.b.createSharedString(value);
  }

  size(size: Size): Offset {
    return this.once('size', size, () => {
      FbSize.startTermsVector(this.b, size.terms.length);
      for (const { symbol, factor } of size.terms.toReversed()) Term.createTerm(this.b, symbol, factor);
      return FbSize.createSize(this.b, size.constant, this.b.endVector());
    });
  }

  sizes(sizes: readonly Size[]): Offset {
    return this.once('sizes', sizes, () =>
      FbExtent.createFactorsVector(
        this.b,
        sizes.map((size) => this.size(size)),
      ),
    );
  }

  extent(extent: Extent): Offset {
    return this.once('extent', extent, () => FbExtent.createExtent(this.b, this.sizes(extent.factors), extent.divide));
  }

  value(value: PlannedValue): Offset {
    return this.once('value', value, () => {
      const [name, shape] = [this.text(value.name), this.sizes(value.shape)];
      return Value.createValue(
        this.b,
        name,
        ELEMENT_TYPES.indexOf(value.type),
        shape,
        value.growing ?? -1,
        value.buffer,
      );
    });
  }

  values(values: readonly PlannedValue[]): Offset {
    return this.once('values', values, () =>
      FbPhase.createInputsVector(
        this.b,
        values.map((value) => this.value(value)),
      ),
    );
  }

  once(kind: string, value: unknown, make: () => Offset): Offset {
    const key = kind + JSON.stringify(value);
    const known = this.#known.get(key) ?? make();
    this.#known.set(key, known);
    return known;
  }
}

function contentsBytes({ precision, model, plan }: WgslManifest): Uint8Array<ArrayBuffer> {
  const t = new Tables();
  const { b } = t;
  const facts = modelTable(t, model);
  const symbols = Contents.createSymbolsVector(
    b,
    plan.symbols.map((name) => t.text(name)),
  );
  const file = ({ path, sha256 }: { path: string; sha256: string }) =>
    [t.text(path), Shard.createSha256Vector(b, bytesOfHash(sha256))] as const;
  const shards = Contents.createShardsVector(
    b,
    plan.shards.map((shard) => {
      const [path, hash] = file(shard);
      return Shard.createShard(b, path, shard.byteLength, hash);
    }),
  );
  const weights = Contents.createWeightsVector(
    b,
    plan.weights.map(({ name, shard, offset, byteLength }) =>
      WeightRange.createWeightRange(b, t.text(name), shard, offset, byteLength),
    ),
  );
  const shaders = Contents.createShadersVector(
    b,
    plan.shaders.map((shader) => {
      const [path, hash] = file(shader);
      return ShaderFile.createShaderFile(b, path, shader.byteLength, hash);
    }),
  );
  const pipelines = Contents.createPipelinesVector(
    b,
    plan.pipelines.map(({ variants, access }) => {
      const list = Pipeline.createVariantsVector(
        b,
        variants.map(({ shader, features }) =>
          Variant.createVariant(
            b,
            shader,
            Variant.createFeaturesVector(
              b,
              features.map((feature) => t.text(feature)),
            ),
          ),
        ),
      );
      return Pipeline.createPipeline(
        b,
        list,
        Pipeline.createAccessVector(
          b,
          access.map((kind) => ACCESS.indexOf(kind)),
        ),
      );
    }),
  );
  const buffers = Contents.createBuffersVector(
    b,
    plan.buffers.map(({ label, role, sizes }) => {
      const products = FbBuffer.createSizesVector(
        b,
        sizes.map(({ factors, bytes }) => Product.createProduct(b, t.sizes(factors), bytes)),
      );
      return FbBuffer.createBuffer(b, t.text(label), ROLES.indexOf(role), products);
    }),
  );
  const phases = Contents.createPhasesVector(
    b,
    plan.phases.map((phase) => phaseTable(t, phase)),
  );
  const text = t.text(precision);
  Contents.startContents(b);
  Contents.addPrecision(b, text);
  Contents.addModel(b, facts);
  Contents.addSymbols(b, symbols);
  Contents.addShards(b, shards);
  Contents.addWeights(b, weights);
  Contents.addShaders(b, shaders);
  Contents.addPipelines(b, pipelines);
  Contents.addBuffers(b, buffers);
  Contents.addPhases(b, phases);
  b.finish(Contents.endContents(b));
  return b.asUint8Array() as Uint8Array<ArrayBuffer>;
}

function modelTable(t: Tables, m: WgslManifest['model']): Offset {
  const [family, variant] = [t.text(m.family), t.text(m.variant)];
  // 0 writes nothing
  const stops = m.stopTokenIds ? Model.createStopTokenIdsVector(t.b, [...m.stopTokenIds]) : 0;
  return Model.createModel(
    t.b,
    family,
    variant,
    m.imageSize,
    m.imageTokens,
    m.imageTokenId,
    m.vocabSize,
    m.layers,
    m.kvHeads,
    m.headDim,
    m.hiddenSize,
    m.bosTokenId,
    m.eosTokenId,
    m.padTokenId,
    m.maxPositions,
    m.retrievalWidth ?? 0,
    stops,
    m.maskSize ?? 0,
  );
}

function phaseTable(t: Tables, phase: Phase): Offset {
  const { b } = t;
  const [name, graph] = [t.text(phase.name), t.text(phase.graph)];
  FbPhase.startFixedVector(b, phase.fixed.length);
  for (const { symbol, value } of phase.fixed.toReversed()) FixedSize.createFixedSize(b, symbol, value);
  const fixed = b.endVector();
  const scalars = FbPhase.createScalarsVector(
    b,
    phase.scalars.map(({ symbol, input, whenZero }) => {
      const [text, size] = [t.text(input), t.size(whenZero)];
      ScalarSymbol.startScalarSymbol(b);
      ScalarSymbol.addSymbol(b, symbol);
      ScalarSymbol.addInput(b, text);
      ScalarSymbol.addWhenZero(b, size);
      return ScalarSymbol.endScalarSymbol(b);
    }),
  );
  const inPlace = FbPhase.createInPlaceVector(
    b,
    phase.inPlace.map(({ input, output }) => InPlace.createInPlace(b, t.text(input), t.text(output))),
  );
  const steps = FbPhase.createStepsVector(
    b,
    phase.steps.map((step) => stepTable(t, step)),
  );
  return FbPhase.createPhase(
    b,
    name,
    graph,
    fixed,
    scalars,
    t.values(phase.inputs),
    t.values(phase.outputs),
    inPlace,
    t.values(phase.stages),
    steps,
  );
}

function stepTable(t: Tables, step: Step): Offset {
  const { b } = t;
  const label = t.text(step.label);
  FbStep.startBindingsVector(b, step.bindings.length);
  for (const { kind, index } of step.bindings.toReversed())
    Binding.createBinding(b, BINDING_KINDS.indexOf(kind), index);
  const bindings = b.endVector();
  const grid = t.once('grid', step.grid, () =>
    FbStep.createGridVector(
      b,
      step.grid.map((extent) => t.extent(extent)),
    ),
  );
  return FbStep.createStep(b, label, step.pipeline, bindings, grid, t.values(step.produces));
}

function bytesOfHash(hex: string): Uint8Array {
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16) || 0;
  return bytes;
}
