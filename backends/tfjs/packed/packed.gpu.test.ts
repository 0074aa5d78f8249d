import { describe, expect, it, test } from 'vitest';
import { formats } from '../../../ir/formats/index.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import type { Tensor } from '../driver/tfjs.ts';
import { nodeTfjs, type TfDevice } from '../node_tfjs.ts';
import { PACKED_OP } from '../known_ops.ts';
import { withErrorScopes } from './error_scopes.ts';
import { packedProgram, type ProgramBackend, type WebgpuProgram } from './programs.ts';
import { registerPackedOp } from './register.ts';
import { packedShape, type PackedShape } from './shape.ts';

interface Sizes {
  readonly leading: readonly number[];
  readonly outputs: number;
  readonly columns: number;
  readonly group: number;
  readonly bits: 4 | 8;
  readonly zeros: boolean;
  readonly codebook?: readonly number[];
}

/** Of the contract (issue 6); sums are of f32 in another order. */
const LIMIT = 1e-3;

/** Operands from a fixed sequence, and the product by its definition, in f64. */
function makeCase({ leading, outputs, columns, group, bits, zeros, codebook }: Sizes) {
  let state = 1;
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
  const blocks = Math.ceil(columns / group);
  const rows = leading.reduce((product, size) => product * size, 1);
  const codes = Array.from({ length: outputs * blocks * group }, () => Math.floor(random() * 2 ** bits));
  const points = Array.from({ length: outputs * blocks }, () => Math.floor(random() * 2 ** bits));
  const scales = Float32Array.from({ length: outputs * blocks }, () => random() / 2 ** bits);
  const x = Float32Array.from({ length: rows * columns }, () => random() - 0.5);
  const pack = (values: readonly number[]) => {
    const out = new Int32Array(Math.ceil((values.length * bits) / 32));
    values.forEach((value, i) => (out[Math.floor((i * bits) / 32)]! |= value << ((i * bits) % 32)));
    return out;
  };
  const expected = Array.from({ length: rows * outputs }, (_, i) => {
    const [row, n] = [Math.floor(i / outputs), i % outputs];
    let sum = 0;
    for (let k = 0; k < columns; k++) {
      const block = n * blocks + Math.floor(k / group);
      const code = codes[n * blocks * group + k]!;
      const meant = codebook ? codebook[code]! : code - (zeros ? points[block]! : 2 ** (bits - 1));
      sum += x[row * columns + k]! * meant * scales[block]!;
    }
    return sum;
  });
  return {
    x,
    codes: pack(codes),
    scales,
    zeros: zeros ? pack(points) : undefined,
    blocks,
    words: (blocks * group * bits) / 32,
    expected,
  };
}

async function expectProduct(device: TfDevice, sizes: Sizes): Promise<void> {
  const tf = await nodeTfjs(device);
  registerPackedOp(tf);
  const { leading, outputs, columns, group, bits, codebook } = sizes;
  const made = makeCase(sizes);
  const before = tf.memory().numTensors;
  const inputs = {
    x: tf.tensor(made.x, [...leading, columns]),
    codes: tf.tensor(made.codes, [outputs, made.words], 'int32'),
    scales: tf.tensor(made.scales, [outputs, made.blocks]),
    ...(made.zeros && { zeros: tf.tensor(made.zeros, [made.zeros.length], 'int32') }),
  };
  const attrs = { bits, group, columns, ...(codebook && { codebook: [...codebook] }) };
  const y = await withErrorScopes(tf, () => tf.engine().runKernel<Tensor>(PACKED_OP, inputs, attrs));
  expect(y.shape).toEqual([...leading, outputs]);
  const values = await y.data();
  const worst = Math.max(...made.expected.map((value, i) => Math.abs(value - values[i]!)));
  expect(worst).toBeLessThan(LIMIT);
  for (const tensor of [...Object.values(inputs), y]) tensor.dispose();
  expect(tf.memory().numTensors).toBe(before);
}

const { codebook } = formats.nf4;
const CODEBOOK = { bits: 4, group: 64, zeros: false, ...(codebook && { codebook }) } as const;

const CASES: readonly Sizes[] = [
  { leading: [1, 1], outputs: 37, columns: 96, group: 32, bits: 4, zeros: true },
  { leading: [2, 3], outputs: 5, columns: 100, group: 32, bits: 4, zeros: true },
  { leading: [1, 17], outputs: 66, columns: 130, group: 128, bits: 4, zeros: false },
  { leading: [3], outputs: 1, columns: 7, group: 8, bits: 4, zeros: false },
  { leading: [1, 1], outputs: 9, columns: 64, group: 32, bits: 8, zeros: false },
  { leading: [40], outputs: 70, columns: 75, group: 4, bits: 8, zeros: true },
  { leading: [1, 1], outputs: 8, columns: 2048, group: 128, bits: 4, zeros: true },
  // the down projection of a 3B
  { leading: [1, 5], outputs: 8, columns: 16_384, group: 64, bits: 4, zeros: true },
  { leading: [1, 1], outputs: 8, columns: 16_384, group: 64, bits: 4, zeros: true },
  { leading: [1, 1], outputs: 37, columns: 130, ...CODEBOOK },
  { leading: [40], outputs: 9, columns: 64, ...CODEBOOK },
];

describe.each(['cpu', 'wasm'] as const)('on %s', (device) => {
  it.each(CASES)('%j', (sizes) => expectProduct(device, sizes));
});

describe('on webgpu', () => {
  for (const sizes of CASES) itOnGpu(JSON.stringify(sizes), () => expectProduct('webgpu', sizes));

  itOnGpu('a shader that does not compile is an exception, and what comes after works', async () => {
    const tf = await nodeTfjs('webgpu');
    const backend = tf.backend() as unknown as ProgramBackend;
    const shape: PackedShape = { rows: 1, columns: 8, outputs: 4, bits: 4, group: 8, words: 1, blocks: 1 };
    const inputs = [tf.zeros([1, 8]), tf.zeros([4, 1], 'int32'), tf.zeros([4, 1])];
    const program: WebgpuProgram = {
      ...packedProgram(shape, false),
      shaderKey: 'planted fault',
      getUserCode: () => 'fn main() { result[0] = nobody; }',
    };
    await expect(withErrorScopes(tf, () => backend.runWebGPUProgram(program, inputs, 'float32', []))).rejects.toThrow(
      expect.objectContaining({ name: 'RuntimeError', code: 'bad_shader', message: expect.stringContaining('nobody') }),
    );
    for (const tensor of inputs) tensor.dispose();
    await expectProduct('webgpu', CASES[0]!);
  });

  itOnGpu('what work throws itself comes through, and scopes are balanced', async () => {
    const tf = await nodeTfjs('webgpu');
    await expect(
      withErrorScopes(tf, () => {
        throw new Error('mine');
      }),
    ).rejects.toThrow('mine');
    await expect((tf.backend() as unknown as { device: GPUDevice }).device.popErrorScope()).rejects.toThrow(/scope/i);
  });
});

test('operands that do not fit are refused before memory is read', () => {
  const attrs = { bits: 4, group: 32, columns: 64 };
  expect(packedShape([2, 3, 64], [5, 8], [5, 2], [2], attrs)).toEqual({
    rows: 6,
    columns: 64,
    outputs: 5,
    bits: 4,
    group: 32,
    words: 8,
    blocks: 2,
  });
  for (const [x, codes, scales, zeros, changed] of [
    [[1, 63], [5, 8], [5, 2], undefined, {}],
    [[1, 64], [5, 7], [5, 2], undefined, {}],
    [[1, 64], [5, 8], [5, 3], undefined, {}],
    [[1, 64], [5, 8], [5, 2], [3], {}],
    [[1, 64], [5, 8], [5, 2], undefined, { bits: 3 }],
    [[1, 64], [5, 8], [5, 2], undefined, { group: 12 }],
    [[1, 64], [5, 8], [5, 2], undefined, { codebook: [0, 1] }],
    [[1, 64], [5, 8], [5, 2], [2], { codebook }],
  ] as const)
    expect(() => packedShape(x, codes, scales, zeros, { ...attrs, ...changed })).toThrow(/^PgQMatMul of x/);
});
