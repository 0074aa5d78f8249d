import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadRuntime, type Runtime } from '../../backends/onnx/runtime.ts';
import { createSession } from '../../backends/onnx/session.ts';
import type { Target } from '../../backends/onnx/target.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { sym } from '../../ir/dim.ts';
import type { Graph } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { tableText } from '../terminal/table.ts';
import { VARIANTS, type TextConfig } from '../models/paligemma/config.ts';
import { metadataOf } from '../models/paligemma.ts';
import { medianOf } from '../compile/median.ts';
import { writeProgram } from './write_program.ts';

/** `ort-cuda` has Attention-23 whatever the softcap, which the CPU's kernels compute; `portable` has the fold. */
const FORMS = { 'Attention-23': 'ort-cuda', fold: 'portable' } as const satisfies Readonly<Record<string, Target>>;
type Form = keyof typeof FORMS;
const FORM_NAMES = Object.keys(FORMS) as Form[];
/** One has no softcap, the other has. */
const MODELS = ['paligemma-3b-224', 'paligemma2-3b-224'] as const;
/** Queries and keys: prefills of pictures of 224 and 448 pixels, and steps behind them and one of 896. */
const CALLS = [
  [272, 272],
  [1040, 1040],
  [1, 273],
  [1, 1041],
  [1, 4113],
] as const;
/**
 * Attentions in a graph, with keys of their own each, so that caches of the CPU hold no more of them than in a decoder.
 */
const LAYERS = 6;

export interface AttentionMeasurement {
  readonly model: string;
  readonly form: Form;
  readonly queries: number;
  readonly keys: number;
  /** Of one layer. */
  readonly milliseconds: readonly number[];
}

/** Milliseconds of one layer's attention by onnxruntime on the CPU, in each form by turns. */
export async function measureAttention(dir: string, steps: number, threads: number): Promise<AttentionMeasurement[]> {
  const runtime = await loadRuntime();
  const measured: AttentionMeasurement[] = [];
  try {
    for (const model of MODELS) {
      const config = VARIANTS[model]!;
      const sessions = await Promise.all(
        FORM_NAMES.map(async (form) => {
          const path = await writeProgram(
            { graphs: [attentions(config.text)], metadata: metadataOf(config) },
            { target: FORMS[form] },
            join(dir, model, form),
          );
          return {
            form,
            session: await createSession(runtime, path, 'cpu', undefined, { intraOpNumThreads: threads }),
          };
        }),
      );
      for (const [queries, keys] of CALLS) {
        const inputs = inputsFor(runtime, config.text, queries, keys);
        const times = new Map(FORM_NAMES.map((form) => [form, [] as number[]]));
        for (let step = -1; step < steps; step++)
          for (const { form, session } of sessions) {
            const started = performance.now();
            await session.run(inputs);
            if (step >= 0) times.get(form)!.push((performance.now() - started) / LAYERS);
          }
        for (const [form, milliseconds] of times) measured.push({ model, form, queries, keys, milliseconds });
      }
      for (const { session } of sessions) await session.release();
    }
    return measured;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The measurements as a Markdown table. */
export function attentionReport(measured: readonly AttentionMeasurement[], title: string): string {
  const rows = MODELS.flatMap((model) =>
    CALLS.map(([queries, keys]) => {
      const [fused, fold] = FORM_NAMES.map(
        (form) =>
          measured.find((m) => m.model === model && m.form === form && m.queries === queries && m.keys === keys)!
            .milliseconds,
      );
      const ratio = medianOf(fused!.map((milliseconds, i) => milliseconds / fold![i]!));
      return [
        model,
        queries,
        keys,
        `${medianOf(fused!).toFixed(2)} ms`,
        `${medianOf(fold!).toFixed(2)} ms`,
        ratio.toFixed(2),
      ];
    }),
  );
  return `Attention of one layer on onnxruntime cpu: ${title}; medians of interleaved runs\n${tableText(['model', 'queries', 'keys', 'Attention-23', 'fold', 'Attention-23 ÷ fold'], rows, [1, 2, 3, 4, 5])}`;
}

/** Attentions of a decoder, each over what the one before it gives. */
function attentions({ heads, kvHeads, headDim, attentionSoftcap }: TextConfig): Graph {
  const b = new GraphBuilder('decoder');
  const [queries, keys] = [sym('queries'), sym('keys')];
  const bias = b.input('bias', { dtype: 'f32', shape: [1, 1, queries, keys] });
  let x = b.input('x', { dtype: 'f32', shape: [1, queries, heads, headDim] });
  for (let layer = 0; layer < LAYERS; layer++) {
    const [k, v] = ['key', 'value'].map((kind) =>
      b.input(`${kind}.${layer}`, { dtype: 'f32', shape: [1, kvHeads, keys, headDim] }),
    );
    x = b.op(ops.attention, [x, k!, v!, bias], { softcap: attentionSoftcap });
  }
  b.output('y', x);
  return b.build();
}

function inputsFor({ Tensor }: Runtime, { heads, kvHeads, headDim }: TextConfig, queries: number, keys: number) {
  const floats = (...shape: readonly number[]) =>
    new Tensor(
      'float32',
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.618)),
      shape,
    );
  const caches = Array.from({ length: LAYERS }, (_, layer) =>
    ['key', 'value'].map((kind) => [`${kind}.${layer}`, floats(1, kvHeads, keys, headDim)] as const),
  ).flat();
  return { x: floats(1, queries, heads, headDim), bias: floats(1, 1, queries, keys), ...Object.fromEntries(caches) };
}
