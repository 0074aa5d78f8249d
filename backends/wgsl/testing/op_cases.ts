import { castData } from '../../../ir/views/cast.ts';
import { parseDim, printDim, type Dim } from '../../../ir/dim.ts';
import { dtypes, type DType } from '../../../ir/dtypes/index.ts';
import type { Graph } from '../../../ir/graph.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import { runPasses, storeWeights, type Pass } from '../../../ir/passes/index.ts';
import { tensorOf, type TensorData } from '../../../ir/tensor.ts';
import { affineFormat } from '../../../ir/testing/affine_format.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { opGraph, type OpCase } from '../../testing/op_case.ts';
import { opCases } from '../../testing/op_cases.ts';

/**
 * How a case's elements are held: `half` has weights in f16 and all else in f32, which is what the precision fp16 means
 * here.
 */
export type Holding = DType | 'half';

export interface DeviceCase {
  readonly op: OpName;
  readonly title: string;
  readonly holding: Holding;
  readonly opCase: OpCase;
  readonly graph: Graph;
}

interface OwnCase extends OpCase {
  readonly holdings?: readonly Holding[];
}

/** Sizes that this backend knows by name: what has `past` grows in place, and `seq` of 1 is a phase of its own. */
const NAMES: Readonly<Record<string, string>> = { b: 'batch_size', s: 'seq', p: 'past' };

/** One token and none, prompts within and beyond a tile of 64 rows, a batch. */
const wide = [
  { b: 1, s: 1 },
  { b: 3, s: 1 },
  { b: 2, s: 35 },
] as const;
/** Prompts, steps behind contexts of one and several splits, a piece behind a context. */
const contexts = [
  { b: 1, s: 37, p: 0 },
  { b: 2, s: 1, p: 70 },
  { b: 1, s: 1, p: 31 },
  { b: 2, s: 3, p: 33 },
] as const;
/** Codes over their whole range; scales, and zero points that are floats, in f16 or beyond it. */
function coded(
  dtype: 'u4' | 'i4' | 'u8' | 'i8',
  [rows, columns]: readonly [number, number],
  block: number,
  zeros: 'none' | 'codes' | 'floats',
  holding: 'half' | 'f32',
  of: (...codes: OpCase['operands']) => OpCase['operands'],
): OwnCase {
  const blocks = Math.ceil(columns / block);
  const random = (shape: number[], seed: number) => randomTensor('f32', shape, seed).data;
  const [least, count] = [dtype.startsWith('i') ? -dtypes[dtype].max - 1 : 0, 2 ** dtypes[dtype].bits];
  const codesOf = (shape: number[], seed: number) =>
    tensorOf(
      dtype,
      shape,
      random(shape, seed).map((x) => least + Math.floor((x + 1) * (count / 2))),
    );
  const scale = tensorOf(
    'f32',
    [rows, blocks],
    random([rows, blocks], 5).map((x) => (x + 1.5) / count),
  );
  const zero = {
    none: [],
    codes: [{ weight: codesOf([rows, blocks], 6) }],
    floats: [
      {
        weight: tensorOf(
          'f32',
          [rows, blocks],
          random([rows, blocks], 6).map((x) => least + (x + 1) * (count / 2)),
        ),
      },
    ],
  }[zeros];
  return {
    title: `${dtype} in blocks of ${block}, ${zeros === 'none' ? 'no zero points' : `zero points as ${zeros}`}`,
    operands: of({ weight: codesOf([rows, blocks, block], 4) }, { weight: scale }, ...zero),
    attrs: { format: affineFormat(dtype), columns },
    sizes: wide,
    holdings: [holding],
  };
}

const codedCases = (
  of: (columns: number) => (...codes: OpCase['operands']) => OpCase['operands'],
): readonly OwnCase[] => [
  coded('u4', [70, 96], 32, 'floats', 'half', of(96)),
  coded('u4', [37, 130], 64, 'codes', 'f32', of(130)),
  coded('u8', [67, 160], 64, 'none', 'half', of(160)),
  coded('u8', [19, 97], 128, 'floats', 'f32', of(97)),
  coded('i8', [33, 64], 64, 'none', 'f32', of(64)),
  coded('i4', [21, 96], 32, 'floats', 'half', of(96)),
];

/** Sizes at which this backend's kernels begin another tile, split or loop, and what only it distinguishes. */
const ownCases: { readonly [N in OpName]?: readonly OwnCase[] } = {
  // further head sizes are beside the kernels: the software GPU compiles for seconds
  attention: [
    {
      title: 'heads of 20, grouped, softcap',
      operands: ['f[b,s,4,20]', 'f[b,2,p+s,20]', 'f[b,2,p+s,20]', 'g[b,1,s,p+s]'],
      attrs: { softcap: 3 },
      sizes: contexts,
      dtypes: ['f32'],
    },
  ],
  conv2d: [
    {
      title: 'of many channels',
      operands: ['f[b,3,28,28]', 'w[70,3,14,14]', 'w[70]'],
      attrs: { strides: [14, 14], padding: [0, 0] },
      sizes: [{ b: 1 }, { b: 2 }],
      dtypes: ['f32'],
    },
  ],
  gather: [{ title: 'rows of many columns', operands: ['w[9,131]', 'i[b,s]'], sizes: wide }],
  layer_norm: [
    {
      title: 'wider than a workgroup',
      operands: ['f[b,s,517]', 'w[517]', 'w[517]'],
      attrs: { epsilon: 1e-5 },
      sizes: wide,
      dtypes: ['f32'],
    },
  ],
  linear: [
    { title: 'beyond tiles, odd', operands: ['f[b,s,150]', 'w[131,150]', 'w[131]'], sizes: wide, dtypes: ['f32'] },
    { title: 'beyond tiles, whole vectors', operands: ['f[b,s,272]', 'w[70,272]'], sizes: wide, dtypes: ['f32'] },
  ],
  matmul: [{ title: 'beyond tiles', operands: ['f[b,s,67]', 'f[b,67,37]'], sizes: wide, dtypes: ['f32'] }],
  quantized_gather: codedCases(() => (q, ...scales) => [q, 'i[b,s]', ...scales]),
  quantized_linear: codedCases((columns) => (...codes) => [`f[b,s,${columns}]`, ...codes]),
  reduce_mean: [{ title: 'of what grows', operands: ['f[b,s,p+s]'], sizes: contexts, dtypes: ['f32'] }],
  rms_norm: [
    {
      title: 'wider than a workgroup',
      operands: ['f[b,s,517]', 'w[517]'],
      attrs: { epsilon: 1e-6 },
      sizes: wide,
      dtypes: ['f32'],
    },
  ],
  rope: [
    { title: 'heads of 72', operands: ['f[b,s,3,72]', 'i[b,s]', 'w[16,36]', 'w[16,36]'], sizes: wide, dtypes: ['f32'] },
  ],
  softmax: [{ title: 'over what grows', operands: ['f[b,2,s,p+s]'], sizes: contexts, dtypes: ['f32'] }],
  // the count is a size of the plan: it has to be an input. Random counts go up to 3
  take_last: [
    {
      title: 'as many as an input says',
      operands: ['f[b,s,3]', 'i[]'],
      attrs: { axis: 1, kept: parseDim('kept') },
      sizes: Array.from({ length: 6 }, (_, i) => ({ b: 2, s: 1 + (i % 4) })),
      dtypes: ['f32'],
    },
  ],
};

/**
 * Every case of an op, in the names of this backend, for every way that its elements are held; names of graphs and
 * ports are its own.
 */
export function deviceCases(op: OpName): readonly DeviceCase[] {
  const shared = op === 'linear' || op === 'quantized_linear' ? opCases[op].map(heldOnce) : opCases[op];
  const all: readonly OwnCase[] = [...shared, ...(ownCases[op] ?? [])].map(renamed);
  return all.flatMap((opCase, i) =>
    holdingsOf(opCase).map((holding): DeviceCase => {
      const graph = opGraph(op, opCase, holding === 'half' ? 'f32' : holding, `${op}.${i}.${holding}.`);
      return {
        op,
        title: `${opCase.title}, ${holding}`,
        holding,
        opCase,
        graph: holding === 'half' ? runPasses(graph, [roundedWeights, storeWeights('f16')]) : graph,
      };
    }),
  );
}

/**
 * Two kernels for each form of a matrix, of a second or two of compilation each: one holding a case, so that each meets
 * some.
 */
function heldOnce(opCase: OpCase, i: number): OwnCase {
  const isWide = opCase.attrs ? opCase.title.includes('zero points') : i % 2 === 0;
  return { ...opCase, holdings: [isWide ? 'f32' : 'half'] };
}

/** Weights in f16 are another case only where there are some; values in f16 come with those that the op says. */
function holdingsOf({ operands, holdings, dtypes: own = ['f32', 'f16'] }: OwnCase): readonly Holding[] {
  if (holdings) return holdings;
  const hasWeights = operands.some((operand) =>
    typeof operand === 'string' ? /^[ws]/.test(operand) : 'weight' in operand,
  );
  return [...own, ...(hasWeights && own.includes('f32') ? (['half'] as const) : [])];
}

/** As a checkpoint in f16 is read: every weight, and scales as well, is a widened f16. */
const roundedWeights: Pass = {
  name: 'rounded_weights',
  doc: 'Weights in f32 are those of a checkpoint in f16.',
  run: (graph) => ({
    ...graph,
    constants: graph.constants.map((constant) =>
      constant.kind === 'weight' && constant.data.dtype === 'f32'
        ? { ...constant, data: rounded(constant.data) }
        : constant,
    ),
  }),
};

function rounded(data: TensorData): TensorData {
  return castData(castData(data, 'f16'), 'f32');
}

function renamed(opCase: OwnCase): OwnCase {
  const names = (text: string) => text.replaceAll(/\b[a-z]\b/g, (name) => NAMES[name] ?? name);
  const operand = (text: string) => text[0] + names(text.slice(1));
  return {
    ...opCase,
    operands: opCase.operands.map((one) => (typeof one === 'string' ? operand(one) : one)),
    ...(opCase.beside && { beside: opCase.beside.map(operand) }),
    ...(opCase.attrs && {
      attrs: Object.fromEntries(
        Object.entries(opCase.attrs).map(([key, value]) => [
          key,
          renamedAttr(value, (dim) => parseDim(names(printDim(dim)))),
        ]),
      ),
    }),
    sizes: opCase.sizes.map((sizes) =>
      Object.fromEntries(Object.entries(sizes).map(([name, size]) => [NAMES[name] ?? name, size])),
    ),
  };
}

function renamedAttr(value: unknown, rename: (dim: Dim) => Dim): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => renamedAttr(one, rename));
  return typeof value === 'object' && value !== null && 'terms' in value ? rename(value as Dim) : value;
}
