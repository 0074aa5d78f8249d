import { parseDim } from '../../ir/dim.ts';
import { dtypes, type DType } from '../../ir/dtypes/index.ts';
import { FORMAT_NAMES, formats, type FormatName } from '../../ir/formats/index.ts';
import type { CompositeName, OpName } from '../../ir/ops/index.ts';
import type { OpWith } from '../../ir/ops/traits.ts';
import { tensorOf } from '../../ir/tensor.ts';
import { erfBySimpson } from '../../ir/testing/erf_by_simpson.ts';
import { affineFormat } from '../../ir/testing/affine_format.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import type { FormulaCase, OpCase, Operand } from './op_case.ts';

type Cases<N extends OpName> =
  N extends Extract<OpWith<'elementwise'>, CompositeName> ? readonly [FormulaCase, ...OpCase[]] : readonly OpCase[];

const dims = (...list: (string | number)[]) => list.map((d) => (typeof d === 'number' ? d : parseDim(d)));
const ints: readonly DType[] = ['f32', 'f16', 'i64', 'i32'];
/** One element, odd sizes, and a batch. */
const usual = [
  { b: 1, s: 1 },
  { b: 2, s: 7 },
  { b: 3, s: 5 },
] as const;
const withEmpty = [...usual, { b: 1, s: 0 }] as const;
const binary = (title: string, x: string, y: string, dtypes?: readonly DType[]): OpCase => ({
  title,
  operands: [x, y],
  sizes: withEmpty,
  ...(dtypes && { dtypes }),
});
const arithmetic = (dtypes?: readonly DType[]) => [
  binary('equal shapes', 'f[b,s,3]', 'f[b,s,3]', dtypes),
  binary('broadcast', 'f[b,1,3]', 'w[5,1]', dtypes),
  binary('a literal', 'f[b,s]', 'l[]', dtypes),
];
const logical = [
  binary('equal shapes', 'p[b,s]', 'p[b,s]', ['bool']),
  binary('broadcast', 'p[b,1,s]', 'p[5,1]', ['bool']),
];
const anyShape: OpCase = { title: 'of any shape', operands: ['f[b,s,3]'], sizes: withEmpty };
const scalar: OpCase = { title: 'a scalar', operands: ['f[]'], sizes: [{}] };
const unary = [anyShape, scalar];
/** Prefill and steps. */
const cached = [
  { b: 1, s: 1, p: 0 },
  { b: 2, s: 5, p: 0 },
  { b: 2, s: 1, p: 6 },
  { b: 1, s: 3, p: 4 },
] as const;
/** Codes of a weight, over the whole range of their dtype. */
const codes = (dtype: DType, ...shape: number[]) => {
  const [least, count] = [dtype.startsWith('i') ? -dtypes[dtype].max - 1 : 0, 2 ** dtypes[dtype].bits];
  return {
    weight: tensorOf(
      dtype,
      shape,
      randomTensor('f32', shape, 7).data.map((x) => least + Math.floor((x + 1) * (count / 2))),
    ),
  };
};
type MakeCase = (
  q: Operand,
  scales: string,
  attrs: { readonly format: FormatName; readonly columns: number },
  zeros?: Operand,
) => Omit<OpCase, 'title'>;
const attrsOf = (dtype: DType) => (columns: number) => ({ format: affineFormat(dtype), columns });
/** Rows that end with a block or within one. */
const codeCases = (dtype: 'u4' | 'i4' | 'u8' | 'i8', make: MakeCase, of = attrsOf(dtype)): OpCase[] => [
  { title: `${dtype}, whole blocks`, ...make(codes(dtype, 5, 2, 32), 's[5,2]', of(64)) },
  {
    title: `${dtype}, a row that ends within a block, zero points`,
    ...make(codes(dtype, 7, 3, 32), 's[7,3]', of(75), codes(dtype, 7, 3)),
  },
];
/**
 * Codes with a sign differ in one view only; the others also in rows that end within the first block, in one element,
 * with a scale a row.
 */
const unsignedCases = (dtype: 'u4' | 'u8', make: MakeCase, of = attrsOf(dtype)): OpCase[] => [
  ...codeCases(dtype, make),
  {
    title: `${dtype}, a row shorter than a block, zero points`,
    ...make(codes(dtype, 9, 1, 16), 's[9,1]', of(7), codes(dtype, 9, 1)),
  },
  { title: `${dtype}, one row of one column`, ...make(codes(dtype, 1, 1, 16), 's[1,1]', of(1)) },
  { title: `${dtype}, a scale a row`, ...make(codes(dtype, 6, 1, 48), 's[6,1]', of(48)) },
  {
    title: `${dtype}, blocks that no kernel has, zero points`,
    ...make(codes(dtype, 5, 3, 6), 's[5,3]', of(17), codes(dtype, 5, 3)),
  },
];
/** Codes of every codebook, in rows that end with a block or within one. */
const codebookCases = (make: MakeCase): OpCase[] =>
  FORMAT_NAMES.filter((format) => formats[format].codebook).flatMap((format) => {
    const [dtype] = formats[format].codes;
    return [
      { title: `${format}, whole blocks`, ...make(codes(dtype, 5, 2, 64), 's[5,2]', { format, columns: 128 }) },
      {
        title: `${format}, a row that ends within a block`,
        ...make(codes(dtype, 7, 3, 64), 's[7,3]', { format, columns: 130 }),
      },
    ];
  });
const quantized = (make: MakeCase): OpCase[] => [
  ...unsignedCases('u4', make),
  ...unsignedCases('u8', make),
  ...codeCases('i4', make),
  ...codeCases('i8', make),
  ...codebookCases(make),
];
const positive = (shape: number[]) =>
  tensorOf(
    'f32',
    shape,
    randomTensor('f32', shape, 5).data.map((x) => Math.abs(x) + 0.01),
  );

/**
 * What each op is tried on, in every runtime: a new op does not compile without a case, nor an elementwise composite
 * without its formula.
 */
export const opCases: { readonly [N in OpName]: Cases<N> } = {
  add: arithmetic(ints),
  add_rms_norm: [
    { title: 'with odd width', operands: ['f[b,s,7]', 'f[b,s,7]', 'w[7]'], attrs: { epsilon: 1e-6 }, sizes: usual },
  ],
  append_cache: [
    {
      title: 'a cache that may be empty',
      operands: ['f[b,2,p,4]', 'f[b,s,2,4]'],
      sizes: [
        { b: 1, p: 0, s: 3 },
        { b: 2, p: 5, s: 1 },
      ],
    },
  ],
  update_cache: [0, 2].map((past) => ({
    title: `from ${past} on`,
    operands: ['f[b,2,c,4]', 'f[b,s,2,4]', tensorOf('i64', [], [past])],
    sizes: [
      { b: 1, c: 5, s: 3 },
      { b: 2, c: 6, s: 1 },
    ],
  })),
  sub: arithmetic(ints),
  mul: arithmetic(ints),
  div: [binary('by a literal', 'f[b,s,3]', 'l[3]')],
  equal: arithmetic(ints),
  less_equal: arithmetic(ints),
  and: logical,
  or: logical,
  not: [{ title: 'of any shape', operands: ['p[b,s]'], sizes: withEmpty, dtypes: ['bool'] }],
  where: [
    { title: 'broadcast', operands: ['p[b,1,s]', 'f[b,5,1]', 'l[]'], sizes: usual, dtypes: ints },
    { title: 'of bools', operands: ['p[b,1,s]', 'p[b,5,1]', 'p[s]'], sizes: usual, dtypes: ['bool'] },
  ],
  tanh: unary,
  erf: unary,
  sqrt: [
    { title: 'of positive numbers', operands: [positive([2, 7])], sizes: [{}], dtypes: ['f32'] },
    { title: 'of negative ones too', operands: ['f[b,s]'], sizes: usual },
  ],
  gelu_tanh: [
    { ...anyShape, formula: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))) },
    scalar,
  ],
  gelu_erf: [{ ...anyShape, formula: (x) => 0.5 * x * (1 + erfBySimpson(x / Math.SQRT2)) }, scalar],
  relu: [{ ...anyShape, formula: (x) => Math.max(x, 0) }, scalar],
  // ONNX Runtime 1.30 is wrong for empty tensors here (WebGPU Softmax, CPU ReduceMean): no graph has an empty sequence
  softmax: [
    { title: 'over the last axis', operands: ['f[b,s,7]'], sizes: usual },
    { title: 'over a symbolic axis', operands: ['f[b,2,s]'], sizes: usual },
  ],
  reduce_mean: [
    { title: 'over the last axis', operands: ['f[b,s,7]'], sizes: usual },
    { title: 'of a vector', operands: ['f[9]'], sizes: [{}] },
  ],
  layer_norm: [
    { title: 'with odd width', operands: ['f[b,s,7]', 'w[7]', 'w[7]'], attrs: { epsilon: 1e-6 }, sizes: usual },
  ],
  rms_norm: [{ title: 'with odd width', operands: ['f[b,s,7]', 'w[7]'], attrs: { epsilon: 1e-6 }, sizes: usual }],
  matmul: [
    { title: 'batched, symbolic inner size', operands: ['f[b,2,3,s]', 'f[b,2,s,5]'], sizes: usual },
    { title: 'broadcast leading axes', operands: ['f[b,4,s,3]', 'f[b,1,3,5]'], sizes: usual },
    { title: 'with a weight', operands: ['f[s,3]', 'w[3,5]'], sizes: [{ s: 1 }, { s: 7 }] },
  ],
  linear: [
    { title: 'without bias', operands: ['f[b,s,7]', 'w[5,7]'], sizes: usual },
    { title: 'with bias', operands: ['f[b,s,7]', 'w[5,7]', 'w[5]'], sizes: usual },
    { title: 'of a matrix', operands: ['f[s,7]', 'w[1,7]', 'w[1]'], sizes: [{ s: 1 }, { s: 3 }] },
    { title: 'with a computed weight', operands: ['f[b,s,7]', 'f[5,7]'], sizes: usual },
    { title: 'with a literal weight', operands: ['f[b,s,7]', 'l[5,7]'], sizes: usual },
  ],
  dequantize: quantized((q, scales, attrs, zeros) => ({
    operands: [q, scales, ...(zeros ? [zeros] : [])],
    attrs,
    sizes: [{}],
  })),
  quantized_linear: quantized((q, scales, attrs, zeros) => ({
    operands: [`f[b,s,${attrs.columns}]`, q, scales, ...(zeros ? [zeros] : [])],
    attrs,
    sizes: usual,
  })),
  quantized_gather: quantized((q, scales, attrs, zeros) => ({
    operands: [q, 'i[b,s]', scales, ...(zeros ? [zeros] : [])],
    attrs,
    sizes: usual,
  })).filter(({ title }) => !title.includes('one row')), // indices go up to 3
  conv2d: [
    {
      title: 'of patches',
      operands: ['f[b,3,8,6]', 'w[5,3,2,2]', 'w[5]'],
      attrs: { strides: [2, 2], padding: [0, 0] },
      sizes: [{ b: 1 }, { b: 2 }],
    },
    {
      title: 'overlapping, uneven',
      operands: ['f[b,2,7,5]', 'w[3,2,3,2]', 'w[3]'],
      attrs: { strides: [2, 1], padding: [0, 0] },
      sizes: [{ b: 1 }, { b: 3 }],
    },
    {
      title: 'with zeros around',
      operands: ['f[b,3,4,5]', 'w[6,3,3,3]', 'w[6]'],
      attrs: { strides: [1, 1], padding: [1, 1] },
      sizes: [{ b: 1 }, { b: 2 }],
    },
    {
      title: 'with zeros to the sides, uneven',
      operands: ['f[b,2,5,3]', 'w[3,2,2,4]', 'w[3]'],
      attrs: { strides: [2, 3], padding: [0, 2] },
      sizes: [{ b: 1 }, { b: 2 }],
    },
  ],
  conv_transpose2d: [
    {
      title: 'twice as large',
      operands: ['f[b,3,4,5]', 'w[3,6,4,4]', 'w[6]'],
      attrs: { strides: [2, 2], padding: [1, 1] },
      sizes: [{ b: 1 }, { b: 2 }],
    },
    {
      title: 'uneven, overlapping, whole',
      operands: ['f[b,5,3,2]', 'w[5,2,3,2]', 'w[2]'],
      attrs: { strides: [2, 1], padding: [0, 0] },
      sizes: [{ b: 1 }, { b: 3 }],
    },
    {
      title: 'with gaps between windows',
      operands: ['f[b,2,3,3]', 'w[2,1,2,3]', 'w[1]'],
      attrs: { strides: [3, 4], padding: [0, 1] },
      sizes: [{ b: 2 }],
    },
  ],
  gather: [
    { title: 'rows of a weight', operands: ['w[9,5]', 'i[b,s]'], sizes: withEmpty },
    { title: 'of a vector at a scalar', operands: ['f[9]', 'i[]'], sizes: [{}], dtypes: ints },
  ],
  cast: (['f32', 'f16', 'i32', 'i64', 'bool'] as const).flatMap((to): OpCase[] => [
    {
      title: `to ${to}`,
      operands: ['f[b,s]'],
      attrs: { to },
      sizes: withEmpty,
      dtypes: ['f32', 'f16', 'i32', 'i64', 'bool'],
    },
  ]),
  concat: [
    {
      title: 'a cache that may be empty',
      operands: ['f[b,1,p,4]', 'f[b,1,s,4]'],
      attrs: { axis: 2 },
      sizes: [
        { b: 1, p: 0, s: 3 },
        { b: 2, p: 5, s: 1 },
      ],
      dtypes: ints,
    },
    { title: 'three, known sizes', operands: ['f[b,2]', 'f[b,1]', 'f[b,4]'], attrs: { axis: 1 }, sizes: [{ b: 3 }] },
    { title: 'one', operands: ['f[b,2]'], attrs: { axis: 0 }, sizes: [{ b: 3 }] },
  ],
  expand: [
    {
      title: 'known and symbolic axes',
      operands: ['f[b,1,s]'],
      attrs: { shape: dims('b', 3, 's') },
      sizes: usual,
      dtypes: ints,
    },
    { title: 'known axes', operands: ['w[1,4]'], attrs: { shape: dims(3, 4) }, sizes: [{}] },
    {
      title: 'new symbolic axes',
      operands: ['f[1,4]'],
      beside: ['i[b,s]'],
      attrs: { shape: dims('b', '2*s + 1', 4) },
      sizes: withEmpty,
    },
  ],
  reshape: [
    { title: 'split', operands: ['f[b,s,12]'], attrs: { shape: dims('b', 's', 3, 4) }, sizes: usual, dtypes: ints },
    {
      title: 'merge into a symbolic axis',
      operands: ['f[b,3,s,4]'],
      attrs: { shape: dims('b', '3*s', 4) },
      sizes: usual,
    },
    {
      title: 'an empty axis that stays',
      operands: ['f[b,p,6]'],
      attrs: { shape: dims('b', 'p', 2, 3) },
      sizes: [
        { b: 2, p: 0 },
        { b: 1, p: 3 },
      ],
    },
    { title: 'two moved symbolic axes', operands: ['f[4,b,s]'], attrs: { shape: dims('b', 2, 2, 's') }, sizes: usual },
    {
      title: 'two symbolic axes behind new ones',
      operands: ['f[b,s]'],
      attrs: { shape: dims(1, 'b', 1, 's') },
      sizes: withEmpty,
    },
    { title: 'to a known size of zero', operands: ['f[b,0]'], attrs: { shape: dims(0, 'b', 3) }, sizes: [{ b: 2 }] },
    { title: 'a scalar', operands: ['f[]'], attrs: { shape: dims(1, 1) }, sizes: [{}] },
  ],
  transpose: [
    { title: 'inner axes', operands: ['f[b,s,3,4]'], attrs: { perm: [0, 2, 1, 3] }, sizes: withEmpty, dtypes: ints },
    { title: 'of a matrix', operands: ['f[s,3]'], attrs: { perm: [1, 0] }, sizes: [{ s: 5 }] },
  ],
  slice: [
    {
      title: 'the middle of the last axis',
      operands: ['f[b,s,7]'],
      attrs: { axis: 2, begin: 2, end: 5 },
      sizes: usual,
      dtypes: ints,
    },
    { title: 'nothing', operands: ['f[b,7]'], attrs: { axis: 1, begin: 3, end: 3 }, sizes: [{ b: 2 }] },
  ],
  take_last: [0, 1, 2, 99].map((count) => ({
    title: `${count}`,
    operands: ['f[b,s,3]', tensorOf('i64', [], [count])],
    attrs: { axis: 1, kept: parseDim('kept') },
    sizes: usual,
  })),
  dim_value: ['s', 'p', '2*p + 3', '5'].map((dim) => ({
    title: dim,
    operands: [],
    beside: ['i[s, 2]', 'i[p + s]'],
    attrs: { dim: parseDim(dim) },
    sizes: [
      { s: 3, p: 0 },
      { s: 1, p: 4 },
    ],
    dtypes: ['i64'],
  })),
  iota: ['s', 'p', 'p + s', '2*s - 1', '5', '0'].map((length) => ({
    title: length,
    operands: [],
    beside: ['i[s, 2]', 'i[p + s]'],
    attrs: { length: parseDim(length) },
    sizes: [
      { s: 3, p: 0 },
      { s: 1, p: 4 },
    ],
    dtypes: ['i64'],
  })),
  rope: [
    { title: 'half-split', operands: ['f[b,s,3,8]', 'i[b,s]', 'w[16,4]', 'w[16,4]'], sizes: usual },
    { title: 'one head of the smallest size', operands: ['f[b,s,1,2]', 'i[b,s]', 'w[9,1]', 'w[9,1]'], sizes: usual },
    {
      title: 'a symbolic number of heads',
      operands: ['f[b,s,n,8]', 'i[b,s]', 'w[16,4]', 'w[16,4]'],
      sizes: [
        { b: 1, s: 1, n: 1 },
        { b: 2, s: 3, n: 5 },
      ],
    },
  ],
  attention: [
    {
      title: 'one KV head, bias',
      operands: ['f[b,s,4,8]', 'f[b,1,p+s,8]', 'f[b,1,p+s,8]', 'g[b,1,s,p+s]'],
      attrs: { softcap: 0 },
      sizes: cached,
    },
    {
      title: 'grouped, softcap',
      operands: ['f[b,s,6,4]', 'f[b,2,p+s,4]', 'f[b,2,p+s,4]', 'g[b,1,s,p+s]'],
      attrs: { softcap: 2 },
      sizes: cached,
    },
    {
      title: 'a KV head for each, no bias',
      operands: ['f[b,s,3,4]', 'f[b,3,s,4]', 'f[b,3,s,4]'],
      attrs: { softcap: 0 },
      sizes: usual,
    },
  ],
};
