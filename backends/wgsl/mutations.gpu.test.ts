import { afterAll, describe, expect } from 'vitest';
import type { OpName } from '../../ir/ops/index.ts';
import type { Runner } from '../backend.ts';
import { programOf } from '../testing/tiny_program.ts';
import type { ShaderSource } from './compile/shader_files.ts';
import { expectConformance } from './testing/expect_conformance.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { memoryRunner } from './testing/memory_runner.ts';
import { deviceCases, type DeviceCase } from './testing/op_cases.ts';

/** A mistake in the text of some shaders, and a case that must show it. */
interface Mutation {
  readonly fault: string;
  /** How the names of the shaders begin. */
  readonly shaders: string;
  readonly from: string;
  readonly to: string;
  readonly op: OpName;
  readonly title: string;
  /** Which of the case's sizes show it; all when left out. */
  readonly at?: number;
}

const HEADS = { op: 'attention', title: 'heads of 20, grouped, softcap, f32' } as const;
const CODES = { op: 'quantized_linear', title: 'u4 in blocks of 32, zero points as floats, half' } as const;

const MUTATIONS: readonly Mutation[] = [
  {
    fault: 'softmax knows no largest but its own',
    shaders: 'softmax',
    from: 'most = largest(most, local);',
    to: '',
    op: 'softmax',
    title: 'over the last axis, f32',
  },
  {
    fault: 'the mean of squares is of one more',
    shaders: 'rms_norm',
    from: 'f32(width)',
    to: 'f32(width + 1u)',
    op: 'rms_norm',
    title: 'with odd width, f32',
  },
  {
    fault: 'the variance is about 0',
    shaders: 'layer_norm',
    from: 'let centred = x[start + i] - mean;',
    to: 'let centred = x[start + i];',
    op: 'layer_norm',
    title: 'with odd width, f32',
  },
  {
    fault: 'heads turn the other way',
    shaders: 'rope',
    from: 'first * cosine - second * sine',
    to: 'first * cosine + second * sine',
    op: 'rope',
    title: 'half-split, f32',
  },
  {
    fault: 'a constant of gelu has lost digits',
    shaders: 'gelu_tanh',
    from: '0.044715',
    to: '0.0435',
    op: 'gelu_tanh',
    title: 'of any shape, f32',
  },
  {
    fault: 'strides of two axes are swapped',
    shaders: 'transpose',
    from: 'i2 * 12u + i1 * 4u',
    to: 'i1 * 12u + i2 * 4u',
    op: 'transpose',
    title: 'inner axes, f32',
  },
  {
    fault: 'what is new lies over what is old',
    shaders: 'append_cache',
    from: '(dims.past + s)',
    to: '(s)',
    op: 'append_cache',
    title: 'a cache that may be empty, f32',
    at: 1,
  },
  {
    fault: 'the first rows are kept, not the last',
    shaders: 'take_last',
    from: ' + dims.seq - dims.kept',
    to: '',
    op: 'take_last',
    title: 'as many as an input says, f32',
  },
  {
    fault: 'the neighbouring row is taken',
    shaders: 'gather',
    from: 'let id = u32(ids[row]);',
    to: 'let id = u32(ids[row]) ^ 1u;',
    op: 'gather',
    title: 'rows of a weight, half',
  },
  {
    fault: 'the bias is forgotten',
    shaders: 'gemm_f16_7x5',
    from: 'y0 + e0[column]',
    to: 'y0',
    op: 'linear',
    title: 'with bias, half',
    at: 1,
  },
  {
    fault: 'zero points are forgotten in a prompt',
    shaders: 'gemm_q4z',
    from: '(codes - scale.y) * scale.x',
    to: 'codes * scale.x',
    ...CODES,
    at: 2,
  },
  {
    fault: 'a step reads one row twice',
    shaders: 'matvec_q4z',
    from: 'rows.y = 0u + min(first + 1u',
    to: 'rows.y = 0u + min(first',
    ...CODES,
    at: 1,
  },
  {
    fault: 'the softcap is forgotten in a prompt',
    shaders: 'attention_20',
    from: '3f * tanh_of(product / 3f)',
    to: 'product',
    ...HEADS,
    at: 0,
  },
  {
    fault: 'the bias of what grows is taken for packed',
    shaders: 'attention_step_20',
    from: '* dims.capacity + key]',
    to: '* (dims.past + 1u) + key]',
    ...HEADS,
    at: 1,
  },
];

function caseOf({ op, title, at }: Mutation): DeviceCase {
  const found = deviceCases(op).find((one) => one.title === title);
  if (!found) throw new Error(`no case "${title}" of ${op}`);
  return at === undefined ? found : { ...found, opCase: { ...found.opCase, sizes: [found.opCase.sizes[at]!] } };
}

/** @throws Error when a shader no longer reads as a mutation says */
function mutated(shaders: readonly ShaderSource[]): readonly ShaderSource[] {
  return MUTATIONS.reduce<readonly ShaderSource[]>((before, { fault, shaders: begin, from, to }) => {
    const after = before.map(({ path, text }) => ({
      path,
      text: path.startsWith(`shaders/${begin}`) ? text.replaceAll(from, to) : text,
    }));
    if (after.every(({ text }, i) => text === before[i]!.text))
      throw new Error(
        `"${fault}": no shader ${begin}* has "${from}" among ${before.map(({ path }) => path).join(', ')}`,
      );
    return after;
  }, shaders);
}

describe('a mistake in a shader shows', () => {
  const graphs = [...new Map(MUTATIONS.map(caseOf).map(({ graph }) => [graph.name, graph])).values()];
  let runner: Promise<Runner> | undefined;
  afterAll(async () => {
    await (await runner)?.dispose();
  });

  for (const mutation of MUTATIONS)
    itOnGpu(mutation.fault, async () => {
      const opened = await (runner ??= memoryRunner(programOf(...graphs), { edit: mutated }));
      // what a comparison says (chai cuts long messages), and no failure to compile
      await expect(expectConformance(opened, caseOf(mutation))).rejects.toThrow(/^expected '\w+, /);
    });
});
