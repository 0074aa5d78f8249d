import { describe, expect, test } from 'vitest';
import { readTensor, tensorData, tensorOf, type TensorData } from '../../../ir/tensor.ts';
import { selectRow } from '../../../ir/views/select.ts';
import { normalizeBigVision } from './big_vision_tree.ts';

function array(shape: readonly number[], first = 0, key = 'k'): TensorData {
  const count = shape.reduce((n, d) => n * d, 1);
  return {
    ...tensorData(
      tensorOf(
        'f32',
        shape,
        Float32Array.from({ length: count }, (_, i) => first + i),
      ),
    ),
    from: { file: '/a.npz', key, byteOffset: 128 },
  };
}
const treeOf = (...names: readonly (readonly [string, readonly number[]])[]) =>
  new Map(names.map(([name, shape], i) => [name, array(shape, 100 * i, name)]));
const valuesOf = async (data: TensorData | undefined) => [...(await readTensor(data!)).data];
const open = (tensors: ReadonlyMap<string, TensorData>) => normalizeBigVision(tensors, '/a.npz');

describe('the root', () => {
  const MODEL = ['img/embedding/kernel', 'llm/final_norm/scale'] as const;
  test.each([
    ['none', '', [], []],
    ['params/', 'params/', [], []],
    ['opt/target/', 'opt/target/', [], []],
    [
      'none, with siblings',
      '',
      ['txt/head', 't', 'b'],
      ['3 arrays beside the model were ignored (txt: 1, t: 1, b: 1).'],
    ],
    [
      'params/, with the state of training',
      'params/',
      ['opt/0/count', 'opt/1/mu/img/embedding/kernel', 'chrono/accum_train_time', 'img/embedding/kernel'],
      ['3 arrays beside the model were ignored (opt: 2, chrono: 1).'],
    ],
    [
      'opt/target/, with the state of training',
      'opt/target/',
      ['opt/state/step', 'chrono/steps'],
      ['2 arrays beside the model were ignored (opt: 1, chrono: 1).'],
    ],
    [
      'params/ before opt/target/',
      'params/',
      ['opt/target/img/embedding/kernel'],
      ['1 array beside the model was ignored (opt: 1).'],
    ],
    [
      'params/, with another tower',
      'params/',
      ['params/txt/head'],
      ['1 array beside the model was ignored (params: 1).'],
    ],
  ] as const)('%s', (_, root, siblings, warnings) => {
    const names = [...siblings, ...MODEL.map((name) => root + name)];
    const tree = open(treeOf(...names.map((name) => [name, [2]] as const)));
    expect([...tree.tensors.keys()]).toEqual([...MODEL]);
    expect([...tree.tensors.values()].map((data) => data.from?.key)).toEqual(MODEL.map((name) => root + name));
    expect(tree.warnings).toEqual(warnings);
  });

  test('a tree of another model passes through', () => {
    expect([...open(treeOf(['params/encoder/kernel', [2]])).tensors.keys()]).toEqual(['encoder/kernel']);
  });
});

describe('layers in arrays of their own', () => {
  test.each([
    [
      'the image tower',
      (i: number) => `img/Transformer/encoderblock_${i}/MlpBlock_0/Dense_0/kernel`,
      'img/Transformer/encoderblock/MlpBlock_0/Dense_0/kernel',
    ],
    ['the decoder', (i: number) => `llm/layers/${i}/attn/q_einsum/w`, 'llm/layers/attn/q_einsum/w'],
    ['Gemma’s own names', (i: number) => `llm/layer_${i}/attn/q_einsum/w`, 'llm/layers/attn/q_einsum/w'],
  ])('%s: stacked by number, not by name', async (_, name, key) => {
    // 12 layers, so that the order of names is not the order of numbers
    const order = Array.from({ length: 12 }, (_, i) => name(i)).toSorted();
    const { tensors, warnings } = open(
      new Map(order.map((n) => [`params/${n}`, array([2], 10 * Number(/\d+(?=\/(?:Mlp|attn))/.exec(n)![0]), n)])),
    );
    expect([[...tensors.keys()], warnings]).toEqual([[key], []]);
    expect(tensors.get(key)!.shape).toEqual([12, 2]);
    expect(await valuesOf(tensors.get(key))).toEqual(
      Array.from({ length: 24 }, (_, i) => 10 * Math.floor(i / 2) + (i % 2)),
    );
    expect(selectRow(tensors.get(key)!, 7).from?.key).toBe(name(7));
  });

  const scale = (i: number | string): readonly [string, readonly number[]] => [
    `llm/layers/${i}/pre_ffw_norm/scale`,
    [2],
  ];
  test.each<[string, readonly (readonly [string, readonly number[]])[], string, RegExp, string]>([
    [
      'a missing layer',
      [scale(0), scale(2), scale(3)],
      'missing_layer',
      /no layer 1 of llm\/layers, but "llm\/layers\/3\//,
      'llm/layers/3/pre_ffw_norm/scale',
    ],
    ['layers that begin at 1', [scale(1), scale(2)], 'missing_layer', /no layer 0/, 'llm/layers/2/pre_ffw_norm/scale'],
    [
      'a layer of an absurd number',
      [scale(0), scale(2 ** 40)],
      'missing_layer',
      /no layer 1/,
      `llm/layers/${2 ** 40}/pre_ffw_norm/scale`,
    ],
    [
      'a layer that lacks an array',
      [scale(0), scale(1), ['llm/layers/0/mlp/linear', [2, 2]]],
      'missing_tensor',
      /layer 1 has no "llm\/layers\/mlp\/linear"/,
      'llm/layers/0/mlp/linear',
    ],
    [
      'layers of different shapes',
      [scale(0), ['llm/layers/1/pre_ffw_norm/scale', [3]]],
      'shape_mismatch',
      /layers\/1\/.* is f32\[3\], but .*layers\/0\/.* is f32\[2\]/,
      'llm/layers/1/pre_ffw_norm/scale',
    ],
    [
      'stacked and apart',
      [scale(0), ['llm/layers/pre_ffw_norm/scale', [1, 2]]],
      'duplicate_tensor',
      /stacked, and layer by layer/,
      'llm/layers/pre_ffw_norm/scale',
    ],
    [
      'two spellings',
      [scale(0), ['llm/layer_0/pre_ffw_norm/scale', [2]]],
      'duplicate_tensor',
      /are the same array/,
      'llm/layer_0/pre_ffw_norm/scale',
    ],
  ])('%s', (_, names, code, message, tensor) => {
    expect(() => open(treeOf(...names))).toThrow(message);
    expect(() => open(treeOf(...names))).toThrow(
      expect.objectContaining({
        code,
        place: expect.objectContaining({ file: '/a.npz', tensor, offset: 128 }) as unknown,
      }),
    );
  });

  test('layers of different dtypes', () => {
    const [a, b] = [
      array([2], 0, 'a'),
      { ...tensorData(tensorOf('f16', [2], [0, 0])), from: { file: '/a.npz', key: 'b', byteOffset: 0 } },
    ];
    expect(() =>
      open(
        new Map([
          [scale(0)[0], a],
          [scale(1)[0], b],
        ]),
      ),
    ).toThrow(/f16\[2\], but .* f32\[2\]/);
  });
});

describe('old image towers', () => {
  test.each(['img/Transformer/pos_embedding', 'img/Transformer/posembed_input/pos_embedding'])(
    '%s moves to its place',
    (name) => {
      const { tensors } = open(treeOf([name, [1, 16, 3]]));
      expect([...tensors.keys()]).toEqual(['img/pos_embedding']);
    },
  );

  test.each<[string, string, readonly number[], RegExp]>([
    ['a class token', 'img/cls', [1, 1, 3], /class token, "img\/cls"/],
    ['a pooling head', 'img/MAPHead_0/probe', [1, 1, 3], /pooling head, "img\/MAPHead_0\/probe".*SigLIP/],
    ['an inlined pooling head', 'img/probe', [1, 1, 3], /pooling head, "img\/probe"/],
    ['positions with a class token', 'img/pos_embedding', [1, 17, 3], /17 positions, a square and one more/],
    [
      'old positions with a class token',
      'img/Transformer/pos_embedding',
      [1, 257, 3],
      /"img\/Transformer\/pos_embedding" has 257 positions/,
    ],
  ])('%s is refused', (_, name, shape, message) => {
    expect(() => open(treeOf(['img/embedding/kernel', [2]], [name, shape]))).toThrow(message);
    expect(() => open(treeOf([name, shape]))).toThrow(expect.objectContaining({ code: 'unsupported_image_tower' }));
  });

  test('positions in two places', () => {
    expect(() => open(treeOf(['img/pos_embedding', [1, 4, 3]], ['img/Transformer/pos_embedding', [1, 4, 3]]))).toThrow(
      /old and a new place/,
    );
  });
});

describe('raw Gemma dumps', () => {
  const [L, D, F] = [2, 3, 5];
  test('names of the MLP, and axes that the shape of linear tells', async () => {
    const raw = treeOf(
      ...Array.from(
        { length: L },
        (_, i) =>
          [
            [`llm/layer_${i}/mlp/gating_einsum/w`, [2, F, D]],
            [`llm/layer_${i}/mlp/linear/w`, [F, D]],
          ] as const,
      ).flat(),
    );
    const { tensors, warnings } = open(raw);
    expect([...tensors].map(([name, { shape }]) => [name, shape])).toEqual([
      ['llm/layers/mlp/gating_einsum', [L, 2, D, F]],
      ['llm/layers/mlp/linear', [L, F, D]],
    ]);
    expect(warnings).toEqual([expect.stringContaining('transposed')]);
    const row = selectRow(tensors.get('llm/layers/mlp/gating_einsum')!, 1);
    expect((await valuesOf(row)).slice(0, 6)).toEqual([200, 203, 206, 209, 212, 201]);
    expect(row.from?.key).toBe('llm/layer_1/mlp/gating_einsum/w');
  });

  test.each([
    [D, F],
    [F, D],
  ])(
    'stacked, width %i and inner width %i: as they should be they stay, else they are turned',
    async (width, hidden) => {
      const linear = ['llm/layers/mlp/linear', [L, hidden, width]] as const;
      const straight = open(treeOf(['llm/layers/mlp/gating_einsum', [L, 2, width, hidden]], linear));
      expect(straight.warnings).toEqual([]);
      const turned = open(treeOf(['llm/layers/mlp/gating_einsum', [L, 2, hidden, width]], linear));
      expect([turned.tensors.get('llm/layers/mlp/gating_einsum')!.shape, turned.warnings.length]).toEqual([
        [L, 2, width, hidden],
        1,
      ]);
      expect((await valuesOf(turned.tensors.get('llm/layers/mlp/gating_einsum'))).slice(0, 2)).toEqual([0, width]);
    },
  );

  test('square: big_vision’s is what it is, a raw one is refused', () => {
    expect(
      open(treeOf(['llm/layers/mlp/gating_einsum', [L, 2, D, D]], ['llm/layers/mlp/linear', [L, D, D]])).warnings,
    ).toEqual([]);
    expect(() =>
      open(treeOf(['llm/layers/mlp/gating_einsum/w', [L, 2, D, D]], ['llm/layers/mlp/linear/w', [L, D, D]])),
    ).toThrow(/nothing tells which axis/);
  });
});
