import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GraphBuilder } from '../../ir/builder.ts';
import { sym } from '../../ir/dim.ts';
import { ops } from '../../ir/ops/index.ts';
import type { Target } from '../../backends/onnx/target.ts';
import { loadRuntime } from '../../backends/onnx/runtime.ts';
import { createSession } from '../../backends/onnx/session.ts';
import { tableText } from '../terminal/table.ts';
import { VARIANTS } from '../models/paligemma/config.ts';
import { metadataOf } from '../models/paligemma.ts';
import { randomCodes } from './random_codes.ts';
import { randomTensor } from '../synth/random_tensor.ts';
import { INT4, INT8 } from '../../ir/quantize/scheme.ts';
import { writeProgram } from './write_program.ts';
import { medianOf } from '../compile/median.ts';

/** Gemma's gate projection. */
const [COLUMNS, ROWS] = [2048, 16384];
/** Rows of activations: a decode step, and a short prefill. */
const BATCHES = [1, 272] as const;
/** `--target portable` splits codes into halves of 4 bits; `webgpu` has one product of 8 bits. */
const FORMS: Readonly<Record<string, { readonly target: Target; readonly bits: 4 | 8; readonly accuracyLevel?: 4 }>> = {
  'int8 as two halves': { target: 'portable', bits: 8 },
  'int8 as one product': { target: 'webgpu', bits: 8 },
  'int8, accuracy level 4': { target: 'portable', bits: 8, accuracyLevel: 4 },
  int4: { target: 'portable', bits: 4 },
};

export interface ProductMeasurement {
  readonly form: string;
  readonly rows: number;
  readonly milliseconds: readonly number[];
}

/** Milliseconds of one product with 8-bit codes by onnxruntime on the CPU, in each form by turns. */
export async function measureEightBits(dir: string, steps: number, threads: number): Promise<ProductMeasurement[]> {
  const runtime = await loadRuntime();
  const measured: ProductMeasurement[] = [];
  try {
    const sessions = await Promise.all(
      Object.entries(FORMS).map(async ([form, { bits, ...options }]) => {
        const b = new GraphBuilder('product');
        const { q, scales, zeros } = randomCodes(
          randomTensor('f32', [ROWS, COLUMNS], { mean: 0, std: 1 }, 0),
          bits === 4 ? INT4 : INT8,
        );
        const x = b.input('x', { dtype: 'f32', shape: [sym('rows'), COLUMNS] });
        b.output(
          'y',
          b.op(
            ops.quantized_linear,
            [x, b.weight('q', q), b.weight('scales', scales), ...(zeros ? [b.weight('zeros', zeros)] : [])],
            { format: bits === 4 ? 'int4' : 'int8', columns: COLUMNS },
          ),
        );
        const model = await writeProgram(
          { graphs: [b.build()], metadata: metadataOf(VARIANTS['paligemma-3b-224']!) },
          options,
          join(dir, form),
        );
        return { form, session: await createSession(runtime, model, 'cpu', undefined, { intraOpNumThreads: threads }) };
      }),
    );
    for (const rows of BATCHES) {
      const x = new runtime.Tensor(
        'float32',
        Float32Array.from({ length: rows * COLUMNS }, (_, i) => Math.sin(i)),
        [rows, COLUMNS],
      );
      const times = new Map(sessions.map(({ form }) => [form, [] as number[]]));
      for (let step = -1; step < steps; step++)
        for (const { form, session } of sessions) {
          const started = performance.now();
          await session.run({ x });
          if (step >= 0) times.get(form)!.push(performance.now() - started);
        }
      for (const [form, milliseconds] of times) measured.push({ form, rows, milliseconds });
    }
    for (const { session } of sessions) await session.release();
    return measured;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The measurements as a Markdown table. */
export function eightBitsReport(measured: readonly ProductMeasurement[], title: string): string {
  const of = (form: string, rows: number) =>
    medianOf(measured.find((m) => m.form === form && m.rows === rows)!.milliseconds);
  const rows = Object.keys(FORMS).map((form) => [
    form,
    ...BATCHES.flatMap((count) => [
      `${of(form, count).toFixed(1)} ms`,
      (of('int8 as one product', count) / of(form, count)).toFixed(1),
    ]),
  ]);
  return `One product by ${COLUMNS} × ${ROWS} on onnxruntime cpu: ${title}; medians of interleaved steps\n${tableText(['form', ...BATCHES.flatMap((count) => [count === 1 ? '1 row' : `${count} rows`, 'one product ÷'])], rows, [1, 2, 3, 4])}`;
}
