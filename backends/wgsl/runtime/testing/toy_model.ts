import { createHash } from 'node:crypto';
import type { Binding, Extent, Phase, Plan, PlannedValue, Size } from '../../bundle/plan.ts';

/** Sizes of a model that adds up what it has read: small enough to follow by hand, with every port of a PaliGemma. */
export const TOY = {
  vocabSize: 13,
  columns: 16,
  width: 4,
  imageSize: 2,
  imageTokens: 2,
  imageTokenId: 12,
  eosTokenId: 1,
  bosTokenId: 2,
  padTokenId: 0,
  maxPositions: 64,
} as const;

const SYMBOLS = ['batch_size', 'capacity', 'images', 'kept', 'past', 'seq'] as const;
type Symbol = (typeof SYMBOLS)[number];

const size = (constant: number, ...symbols: readonly Symbol[]): Size => ({
  constant,
  terms: symbols.map((name) => ({ symbol: SYMBOLS.indexOf(name), factor: 1 })),
});
const [batch, capacity, images, kept, past, seq] = SYMBOLS.map((name) => size(0, name)) as [
  Size,
  Size,
  Size,
  Size,
  Size,
  Size,
];
const total = size(0, 'past', 'seq');
const [one, width, columns] = [size(1), size(TOY.width), size(TOY.columns)];
const threads = (...factors: readonly Size[]): [Extent, Extent, Extent] => [
  { factors, divide: 64 },
  { factors: [one], divide: 1 },
  { factors: [one], divide: 1 },
];

const header = (bindings: readonly string[]) => `struct Dims { ${SYMBOLS.map((name) => `${name}: u32`).join(', ')} }
@group(0) @binding(0) var<uniform> dims: Dims;
${bindings.map((binding, i) => `@group(0) @binding(${i + 1}) var<storage, ${binding.startsWith('out') ? 'read_write' : 'read'}> ${binding};`).join('\n')}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
`;

const SHADERS: Readonly<Record<string, { readonly bindings: readonly string[]; readonly body: string }>> = {
  see: {
    bindings: ['pixels: array<f32>', 'out: array<f32>'],
    body: 'if (i < dims.images * 8u) { out[i] = round(pixels[i / 8u * 12u + i % 8u] * 5.0); }',
  },
  embed: {
    bindings: ['ids: array<i32>', 'rows: array<f32>', 'out: array<f32>'],
    body: 'if (i < dims.batch_size * dims.seq * 4u) { out[i] = rows[u32(ids[i / 4u]) * 4u + i % 4u]; }',
  },
  append: {
    bindings: ['x: array<f32>', 'out: array<f32>'],
    body: 'let row = i / 4u; if (row < dims.batch_size * dims.seq) { out[(row / dims.seq * dims.capacity + dims.past + row % dims.seq) * 4u + i % 4u] = x[i]; }',
  },
  read: {
    bindings: ['memory: array<f32>', 'mask: array<i32>', 'positions: array<i32>', 'out: array<f32>'],
    body: `if (i >= dims.batch_size) { return; }
  var sum = 5.0 * f32(positions[i * dims.seq + dims.seq - 1u]);
  for (var t = 0u; t < dims.past + dims.seq; t++) {
    let at = (i * dims.capacity + t) * 4u;
    if (mask[i * dims.capacity + t] != 0) { sum += memory[at] + 2.0 * memory[at + 1u] + 3.0 * memory[at + 2u] + 4.0 * memory[at + 3u]; }
  }
  out[i] = sum;`,
  },
  say: {
    bindings: ['hidden: array<f32>', 'out: array<f32>'],
    body: `if (i >= dims.batch_size * dims.kept * 16u) { return; }
  let v = i32(i % 16u);
  out[i] = select(f32((i32(hidden[i / (dims.kept * 16u)]) * (2 * v + 1) + v * v) % 11), 99.0, v >= 13);`,
  },
};

/**
 * What the shaders above compute, of rows of tokens with rows of features at image tokens: greedy tokens of each row.
 */
export function toyTokens(
  rows: readonly (readonly number[])[],
  features: readonly (readonly number[])[],
  count: number,
): number[][] {
  let used = 0;
  return rows.map((ids) => {
    const read = ids.map((id) => (id === TOY.imageTokenId ? features[used++]! : tableRow(id)));
    const tokens: number[] = [];
    while (tokens.length < count && tokens.at(-1) !== TOY.eosTokenId) {
      const hidden = read.reduce((sum, x) => sum + x[0]! + 2 * x[1]! + 3 * x[2]! + 4 * x[3]!, 5 * read.length);
      const logits = Array.from({ length: TOY.vocabSize }, (_, v) => (hidden * (2 * v + 1) + v * v) % 11);
      const token = logits.indexOf(Math.max(...logits));
      tokens.push(token);
      read.push(tableRow(token));
    }
    return tokens;
  });
}

const tableRow = (id: number): number[] => Array.from({ length: TOY.width }, (_, d) => (id * 7 + d * 3) % 11);

/** Features of an image [3, 2, 2] as the toy sees it. */
export function toyFeatures(pixels: ArrayLike<number>): number[][] {
  return [0, 1].map((p) => [0, 1, 2, 3].map((d) => Math.round(pixels[p * 4 + d]! * 5)));
}

/** The plan, and its files by path. */
export function toyPlan(): { readonly plan: Plan; readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>> } {
  const table = new Float32Array(Array.from({ length: TOY.columns }, (_, id) => tableRow(id)).flat());
  // a second shard, with something that no kernel reads
  const shards = [new Uint8Array(table.buffer), new Uint8Array(1001).map((_, i) => i)].map((data, i) => ({
    path: `weights/${i}.bin`,
    data,
  }));
  const shaders = Object.entries(SHADERS).map(([name, { bindings, body }]) => ({
    path: `shaders/${name}.wgsl`,
    data: new TextEncoder().encode(`${header(bindings)}  ${body}\n}\n`),
  }));
  const file = ({ path, data }: { readonly path: string; readonly data: Uint8Array }) => ({
    path,
    byteLength: data.byteLength,
    sha256: createHash('sha256').update(data).digest('hex'),
  });
  const names = [
    'pixel_values',
    'image_features',
    'input_ids',
    'inputs_embeds',
    'attention_mask',
    'position_ids',
    'past_key_values.0.key',
    'hidden',
    'logits',
    'num_logits_to_keep',
  ];
  const shapes = [
    [images, size(12)],
    [images, size(2), width],
    [batch, seq],
    [batch, seq, width],
    [batch, capacity],
    [batch, seq],
    [batch, one, capacity, width],
    [batch],
    [batch, kept, columns],
    [],
  ];
  const value = (
    name: string,
    type: PlannedValue['type'],
    shape: readonly Size[],
    growing?: number,
    buffer = name,
  ): PlannedValue => ({ name, type, shape, ...(growing !== undefined && { growing }), buffer: names.indexOf(buffer) });
  const bind = (...of: readonly string[]): Binding[] =>
    of.map((name) => (name === 'rows' ? { kind: 'weight', index: 0 } : { kind: 'buffer', index: names.indexOf(name) }));
  const embeds = value('inputs_embeds', 'f32', [batch, seq, width]);
  const present = value('present.0.key', 'f32', [batch, one, total, width], 2, 'past_key_values.0.key');
  const logits = value('logits', 'f32', [batch, kept, columns]);
  const hidden = value('hidden', 'f32', [batch]);
  const embed: Omit<Phase, 'name' | 'fixed'> = {
    graph: 'embed_tokens',
    scalars: [],
    inputs: [value('input_ids', 'i32', [batch, seq])],
    outputs: [embeds],
    inPlace: [],
    stages: [],
    steps: [
      {
        label: 'inputs_embeds',
        pipeline: 1,
        bindings: bind('input_ids', 'rows', 'inputs_embeds'),
        grid: threads(batch, seq, width),
        produces: [embeds],
      },
    ],
  };
  const decoder: Omit<Phase, 'name' | 'fixed'> = {
    graph: 'decoder',
    scalars: [{ symbol: SYMBOLS.indexOf('kept'), input: 'num_logits_to_keep', whenZero: seq }],
    inputs: [
      embeds,
      value('attention_mask', 'i32', [batch, total], 1),
      value('position_ids', 'i32', [batch, seq]),
      value('num_logits_to_keep', 'i32', []),
      value('past_key_values.0.key', 'f32', [batch, one, past, width], 2),
    ],
    outputs: [logits, present],
    inPlace: [{ input: 'past_key_values.0.key', output: 'present.0.key' }],
    stages: [{ ...embeds, name: 'lm.0' }, hidden],
    steps: [
      {
        label: 'present.0.key',
        pipeline: 2,
        bindings: bind('inputs_embeds', 'past_key_values.0.key'),
        grid: threads(batch, seq, width),
        produces: [present],
      },
      {
        label: 'hidden',
        pipeline: 3,
        bindings: bind('past_key_values.0.key', 'attention_mask', 'position_ids', 'hidden'),
        grid: threads(batch),
        produces: [hidden],
      },
      {
        label: 'logits',
        pipeline: 4,
        bindings: bind('hidden', 'logits'),
        grid: threads(batch, kept, columns),
        produces: [logits],
      },
    ],
  };
  const vision: Phase = {
    name: 'vision_encoder',
    graph: 'vision_encoder',
    fixed: [],
    scalars: [],
    inputs: [value('pixel_values', 'f32', [images, size(3), size(2), size(2)])],
    outputs: [value('image_features', 'f32', [images, size(2), width])],
    inPlace: [],
    stages: [],
    steps: [
      {
        label: 'image_features',
        pipeline: 0,
        bindings: bind('pixel_values', 'image_features'),
        grid: threads(images, size(8)),
        produces: [value('image_features', 'f32', [images, size(2), width])],
      },
    ],
  };
  const step = [{ symbol: SYMBOLS.indexOf('seq'), value: 1 }];
  const plan: Plan = {
    symbols: SYMBOLS,
    shards: shards.map(file),
    weights: [
      { name: 'embed', shard: 0, offset: 0, byteLength: table.byteLength },
      { name: 'unused', shard: 1, offset: 256, byteLength: 700 },
    ],
    shaders: shaders.map(file),
    pipelines: Object.values(SHADERS).map(({ bindings }, shader) => ({
      variants: [{ shader, features: [] }],
      access: bindings.map((binding) => (binding.startsWith('out') ? 'read_write' : 'read')),
    })),
    buffers: names.map((label, i) => ({
      label,
      role: label === 'hidden' ? 'scratch' : 'port',
      sizes: [{ factors: shapes[i]!, bytes: 4 }],
    })),
    phases: [
      vision,
      { ...embed, name: 'embed_tokens', fixed: [] },
      { ...decoder, name: 'decoder', fixed: [] },
      { ...structuredClone(embed), name: 'embed_tokens.step', fixed: step },
      { ...structuredClone(decoder), name: 'decoder.step', fixed: step },
    ],
  };
  return { plan, files: new Map([...shards, ...shaders].map(({ path, data }) => [path, data])) };
}
