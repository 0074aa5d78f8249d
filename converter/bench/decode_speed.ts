import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Target } from '../../backends/onnx/target.ts';
import { loadRuntime, type InferenceSession, type OrtTensor, type Runtime } from '../../backends/onnx/runtime.ts';
import { createSession } from '../../backends/onnx/session.ts';
import type { PaliGemmaConfig } from '../models/paligemma/config.ts';
import { decoderProgram, type BenchWeights } from './decoder_program.ts';
import { medianOf } from '../compile/median.ts';
import { plainExport } from './plain_export.ts';
import { productsAlone } from './products_alone.ts';
import { writeProgram } from './write_program.ts';

/**
 * The graphs that are compared: what `--target ort-cpu` and `--target portable` emit, an export without fusions, and
 * the products with the weights alone, which no fusion makes less.
 */
export const FLAVOURS = ['fused', 'portable', 'plain', 'products'] as const;
export type Flavour = (typeof FLAVOURS)[number];

const TARGET: Readonly<Record<Flavour, Target>> = {
  fused: 'ort-cpu',
  portable: 'portable',
  plain: 'portable',
  products: 'ort-cpu',
};
/** Steps before any is timed: the first allocate. */
const WARM_UP = 2;
/** How far logits of two flavours may be apart, relative to the largest: sums in another order over all layers. */
const AGREEMENT = 1e-3;

export interface DecodingOptions {
  readonly dir: string;
  readonly config: PaliGemmaConfig;
  readonly weights: BenchWeights;
  /** Tokens in the cache when a step is timed. */
  readonly contexts: readonly number[];
  /** Timed steps of each flavour at each context. */
  readonly steps: number;
  readonly threads: number;
  readonly log: (line: string) => void;
}

export interface DecodingMeasurement {
  readonly context: number;
  readonly flavour: Flavour;
  /** Wall times of single steps whose cache stays in the runtime's memory, as with an I/O binding. */
  readonly milliseconds: readonly number[];
  /**
   * The same where the cache comes to JavaScript, as it does in transformers.js; none of `products`, which has no
   * cache.
   */
  readonly withCacheOut: readonly number[];
}

/**
 * Steps of one token by onnxruntime on the CPU, in all flavours by turns, so that the ratio of a round holds when the
 * machine's speed drifts. Only one result is fetched where the cache stays inside (the others are computed all the
 * same): onnxruntime-node
 * 1.30 copies whatever it hands over into new memory, over preallocated `fetches` too, which is as long for every
 * flavour.
 * @throws Error when flavours disagree: what is not the same computation is not compared.
 */
export async function measureDecoding({
  dir,
  config,
  weights,
  contexts,
  steps,
  threads,
  log,
}: DecodingOptions): Promise<DecodingMeasurement[]> {
  const runtime = await loadRuntime();
  const sessions = new Map<Flavour, InferenceSession>();
  try {
    for (const flavour of FLAVOURS) {
      const whole = decoderProgram(config, weights, flavour === 'plain' ? plainExport : []);
      const program = flavour === 'products' ? { ...whole, graphs: whole.graphs.map(productsAlone) } : whole;
      const model = await writeProgram(program, { target: TARGET[flavour] }, join(dir, flavour));
      sessions.set(flavour, await createSession(runtime, model, 'cpu', undefined, { intraOpNumThreads: threads }));
      log(`${flavour}: open`);
    }
    const measured: DecodingMeasurement[] = [];
    for (const context of contexts) {
      const feeds = feedsFor(runtime, config, context);
      await expectAgreement(sessions, feeds);
      const inside = await byTurns(FLAVOURS, steps, async (flavour) => {
        const session = sessions.get(flavour)!;
        if (flavour === 'products')
          await session.run(inputsOfProducts(runtime, session), [session.outputNames.at(-1)!]);
        else await session.run(feeds, ['logits']);
      });
      const out = await byTurns(
        FLAVOURS.filter((flavour) => flavour !== 'products'),
        steps,
        async (flavour) => void (await sessions.get(flavour)!.run(feeds)),
      );
      for (const flavour of FLAVOURS)
        measured.push({ context, flavour, milliseconds: inside.get(flavour)!, withCacheOut: out.get(flavour) ?? [] });
      log(
        `context of ${context}: ${FLAVOURS.map((flavour) => `${flavour} ${(1000 / medianOf(inside.get(flavour)!)).toFixed(2)} tokens/s`).join(', ')}`,
      );
    }
    return measured;
  } finally {
    for (const session of sessions.values()) await session.release();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Milliseconds of `steps` runs of each flavour, in rounds of one run each. */
async function byTurns(
  flavours: readonly Flavour[],
  steps: number,
  run: (flavour: Flavour) => Promise<void>,
): Promise<ReadonlyMap<Flavour, readonly number[]>> {
  const times = new Map<Flavour, number[]>(flavours.map((flavour) => [flavour, []]));
  for (let i = -WARM_UP; i < steps; i++)
    for (const [flavour, milliseconds] of times) {
      const started = performance.now();
      await run(flavour);
      if (i >= 0) milliseconds.push(performance.now() - started);
    }
  return times;
}

/** One new token behind `context` cached ones; the values do not matter, but for being ordinary numbers. */
function feedsFor({ Tensor }: Runtime, { text }: PaliGemmaConfig, context: number): Record<string, OrtTensor> {
  const floats = (shape: readonly number[], scale: number) =>
    new Tensor(
      'float32',
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => scale * Math.sin(i * 1.618)),
      shape,
    );
  const integers = (shape: readonly number[], value: number) =>
    new Tensor('int64', new BigInt64Array(shape.reduce((a, b) => a * b, 1)).fill(BigInt(value)), shape);
  const cache = floats([1, text.kvHeads, context, text.headDim], 1);
  return {
    inputs_embeds: floats([1, 1, text.width], 1),
    attention_mask: integers([1, context + 1], 1),
    position_ids: integers([1, 1], context + 1),
    num_logits_to_keep: integers([], 1),
    ...Object.fromEntries(
      Array.from({ length: text.layers }, (_, i) =>
        ['key', 'value'].map((kind) => [`past_key_values.${i}.${kind}`, cache] as const),
      ).flat(),
    ),
  };
}

/** One row for each width. */
function inputsOfProducts({ Tensor }: Runtime, { inputNames }: InferenceSession): Record<string, OrtTensor> {
  return Object.fromEntries(
    inputNames.map((name) => [
      name,
      new Tensor('float32', new Float32Array(Number(name.split('_')[1])).fill(1), [1, 1, Number(name.split('_')[1])]),
    ]),
  );
}

async function expectAgreement(
  sessions: ReadonlyMap<Flavour, InferenceSession>,
  feeds: Record<string, OrtTensor>,
): Promise<void> {
  let reference: Float32Array | undefined;
  for (const [flavour, session] of sessions) {
    if (flavour === 'products') continue;
    const results = await session.run(feeds);
    const logits = (results['logits']!.data as Float32Array).slice();
    for (const tensor of Object.values(results)) tensor.dispose();
    reference ??= logits;
    const bound = AGREEMENT * reference.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const worst = reference.reduce((most, x, i) => Math.max(most, Math.abs(x - logits[i]!)), 0);
    if (!(worst <= bound)) throw new Error(`${flavour} and ${FLAVOURS[0]} disagree: logits are ${worst} apart`);
  }
}
