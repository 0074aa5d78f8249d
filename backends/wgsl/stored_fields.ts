import { join } from 'node:path';
import type { BundleFolder } from '../description.ts';
import { BackendError } from '../error.ts';
import { readRegularText } from '../regular_file.js';
import { packedStrides, type Claim, type StoredField } from '../stored_field.ts';
import type { Phase, Plan, WeightRange } from './bundle/plan.ts';
import { planIn } from './describe.ts';

/*
 * Written from docs/bundle-format.md and from the texts of the shaders in a bundle, which state what they read: the
 * type of a binding, the sizes and the form of a matrix, how many vectors a row of it has and from which word on its
 * scales lie. What compiles those texts, and what packs weights, is not imported here.
 */

/** The longest text of a kernel has 30 KB. */
const MAX_SHADER_BYTES = 4 * 1024 * 1024;

/** How a shader reads a range of weights. */
type Reading =
  | { readonly kind: 'vector' }
  /** Cosines of a position, and behind them as many sines. */
  | { readonly kind: 'angles'; readonly half: number }
  /** Whole numbers, which are no weights. */
  | { readonly kind: 'integers' }
  | ({ readonly kind: 'matrix' } & MatrixReading);

interface MatrixReading {
  /** As shaders spell it: `f16`, `q4z`, `nf4_b64`. */
  readonly form: string;
  readonly columns: number;
  /** `vec4<u32>` of a row of elements. */
  readonly vectors: number;
  /** Of codes: the word at which scales begin, and words of a row of them. */
  readonly scales?: { readonly from: number; readonly words: number };
}

/** A range in a file, and the graph whose kernel reads it. */
interface Range {
  readonly range: WeightRange;
  readonly file: string;
  readonly graph: string;
}

/**
 * Every weight that kernels bind, by what the texts of those kernels do with it. All that read one must read it alike.
 * @throws BackendError for a damaged bundle, and for a text that does not say how it reads
 */
export async function storedFields(bundle: BundleFolder): Promise<readonly StoredField[]> {
  const plan = await planIn(bundle.dir);
  const texts = await Promise.all(
    plan.shaders.map(({ path }) => readRegularText(join(bundle.dir, path), MAX_SHADER_BYTES)),
  );
  const readings = new Map<number, { readonly reading: Reading; readonly graph: string; readonly shader: string }>();
  for (const phase of plan.phases)
    for (const { weight, binding, shader } of bindingsOf(plan, phase)) {
      const path = plan.shaders[shader]!.path;
      const reading = readingOf(texts[shader]!, binding, join(bundle.dir, path));
      const known = readings.get(weight);
      if (known && JSON.stringify(known.reading) !== JSON.stringify(reading))
        throw unclear(path, `it reads ${plan.weights[weight]!.name} otherwise than ${known.shader}`);
      if (!known) readings.set(weight, { reading, graph: phase.graph, shader: path });
    }
  return plan.weights.flatMap((range, i) => {
    const read = readings.get(i);
    const file = plan.shards[range.shard]!.path;
    return read ? fieldsOf({ range, file, graph: read.graph }, read.reading) : [];
  });
}

/** Which weight every variant of every step binds, and where. */
function bindingsOf(
  { pipelines }: Plan,
  { steps }: Phase,
): readonly { readonly weight: number; readonly binding: number; readonly shader: number }[] {
  return steps.flatMap(({ pipeline, bindings }) =>
    bindings.flatMap(({ kind, index }, i) =>
      kind === 'weight'
        ? pipelines[pipeline]!.variants.map(({ shader }) => ({ weight: index, binding: i + 1, shader }))
        : [],
    ),
  );
}

function readingOf(text: string, binding: number, file: string): Reading {
  const declared = new RegExp(`@binding\\(${binding}\\) var<storage, read> (\\w+): ([^;]+);`).exec(text);
  if (!declared) throw unclear(file, `it has no binding ${binding}`);
  const [, name, type] = declared as unknown as [string, string, string];
  if (type === 'array<i32>') return { kind: 'integers' };
  const sines = new RegExp(`let sine = ${name}\\[angle \\+ (\\d+)u\\]`).exec(text);
  if (sines) return { kind: 'angles', half: Number(sines[1]) };
  if (type === 'array<f32>' || type === 'array<vec4<f32>>') return { kind: 'vector' };
  const said =
    new RegExp(`\\b${name}\\[\\d+, (\\d+)\\] (\\w+)`).exec(text) ??
    / of (\d+) columns \((\w+)\)/.exec(text) ??
    /^\/\/ A matrix \[\d+, (\d+)\] \((\w+)\)/.exec(text) ??
    convolution(text);
  const row = new RegExp(`\\b${name}\\[row \\* (\\d+)u \\+ `).exec(text);
  if (type !== 'array<vec4<u32>>' || !said || !row) throw unclear(file, `it does not say how it reads ${name}`);
  const scale = new RegExp(`fn ${name}_scale\\(.*\\n\\s*let at = (\\d+)u \\+ row \\* (\\d+)u`).exec(text);
  return {
    kind: 'matrix',
    columns: Number(said[1]),
    form: said[2],
    vectors: Number(row[1]),
    ...(scale && { scales: { from: Number(scale[1]), words: Number(scale[2]) } }),
  };
}

/** The elements of a window, and the form of floats, of a shader that goes over each. */
function convolution(text: string): readonly [string, string, string] | undefined {
  const elements = /for \(var element = 0u; element < (\d+)u; element\+\+\)/.exec(text);
  return elements ? ['', elements[1]!, text.includes('unpack2x16float') ? 'f16' : 'f32'] : undefined;
}

function fieldsOf(range: Range, reading: Reading): StoredField[] {
  if (reading.kind === 'integers') return [];
  // a number is the graph's own
  if (reading.kind === 'vector') return range.range.byteLength > 4 ? [vector(range)] : [];
  if (reading.kind === 'angles') return angles(range, reading.half);
  return /^f(?:32|16)$/.test(reading.form) ? [floats(range, reading)] : codes(range, reading);
}

/** Elements of f32 in C order: the program says their shape. */
function vector({ range, file, graph }: Range): StoredField {
  const shape = [range.byteLength / 4];
  return {
    tensor: range.name,
    file,
    graph,
    claim: named(range),
    dtype: 'f32',
    shape,
    firstBit: 8 * range.offset,
    strides: packedStrides(shape, 32),
  };
}

/** The table that the range is named after, and what the op that reads it takes as its sines. */
function angles(range: Range, half: number): StoredField[] {
  const { firstBit, ...field } = vector(range);
  const rows = { ...field, shape: [field.shape[0]! / (2 * half), half], strides: [64 * half, 32] };
  return [
    { ...rows, firstBit },
    { ...rows, firstBit: firstBit + 32 * half, claim: { ...named(range.range), operand: 'sin' } },
  ];
}

/** Rows of whole vectors of 16 bytes. */
function floats({ range, file, graph }: Range, { form, columns, vectors }: MatrixReading): StoredField {
  const bits = form === 'f16' ? 16 : 32;
  return {
    tensor: range.name,
    file,
    graph,
    claim: named(range),
    dtype: form === 'f16' ? 'f16' : 'f32',
    shape: [range.byteLength / (16 * vectors), columns],
    firstBit: 8 * range.offset,
    strides: [128 * vectors, bits],
  };
}

/** Codes of whole vectors a row, and behind the last row the scales. */
function codes({ range, file, graph }: Range, reading: MatrixReading): StoredField[] {
  const { form, columns, vectors, scales } = reading;
  const parts = /^(?:q(4|8)|[a-z]+(\d))(z?)(w?)(?:_b(\d+))?$/.exec(form);
  if (!parts || !scales) throw unclear(file, `nobody knows how ${range.name} lies as ${form}`);
  const bits = Number(parts[1] ?? parts[2]);
  const isAffine = parts[1] !== undefined;
  const [hasZeros, isWide] = [parts[3] === 'z', parts[4] === 'w'];
  const block = Number(parts[5] ?? 32);
  const rows = scales.from / (4 * vectors);
  const blocks = Math.ceil(columns / block);
  const common = { tensor: range.name, file, graph, firstBit: 8 * range.offset };
  const stride = 32 * scales.words;
  const first = common.firstBit + 32 * scales.from;
  const [dtype, step] = isWide ? (['f32', 64] as const) : (['f16', hasZeros ? 32 : 16] as const);
  const beside = (operand: string) => ({ claim: { ...named(range), operand }, dtype, shape: [rows, blocks] });
  return [
    {
      ...common,
      claim: named(range),
      dtype: bits === 4 ? 'u4' : 'u8',
      shape: [rows, (vectors * 128) / bits],
      strides: [128 * vectors, bits],
    },
    { ...common, ...beside('scales'), firstBit: first, strides: [stride, step] },
    ...(isAffine && (hasZeros || isWide)
      ? [{ ...common, ...beside('zeros'), firstBit: first + step / 2, strides: [stride, step] }]
      : []),
  ];
}

/** A range has the names of all weights that lie in it, joined. */
function named({ name }: WeightRange): Claim & { readonly by: 'weight' } {
  return { by: 'weight', names: name.split('+') };
}

function unclear(file: string, message: string): BackendError {
  return new BackendError('bundle-damaged', message, { file, hint: 'convert again with this version of pgconv' });
}
