import { BackendError } from '../../error.ts';
import { elementTypeInfo } from '../dtype.ts';
import type { GraphProto, ValueInfoProto } from '../proto/onnx_pb.ts';

/** The IR graphs that an export may have. */
export type Role = 'vision_encoder' | 'embed_tokens' | 'decoder';

/** A port of an export, and what it is taken for. */
export interface ForeignPort {
  readonly theirs: string;
  /** Undefined where nobody knows what it is. */
  readonly ours: string | undefined;
  /** `f32`, as `elementTypeInfo` has it. */
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/** What is known of a graph by its ports. */
export interface ForeignPorts {
  /** Undefined for a graph that is none of a PaliGemma's. */
  readonly role: Role | undefined;
  readonly inputs: readonly ForeignPort[];
  readonly outputs: readonly ForeignPort[];
  /** Stages that the user named: ours, and the graph's tensor. */
  readonly stages: ReadonlyMap<string, string>;
}

/** Of our inputs, the names that exporters give them: of past and present versions of their libraries. */
const INPUTS: Readonly<Record<string, readonly string[]>> = {
  pixel_values: ['pixel_values', 'pixels', 'images', 'image'],
  input_ids: ['input_ids', 'ids', 'tokens'],
  inputs_embeds: ['inputs_embeds', 'input_embeds', 'inputs_embeddings', 'embeds', 'embeddings', 'hidden_states'],
  attention_mask: ['attention_mask', 'mask'],
  position_ids: ['position_ids', 'positions'],
  num_logits_to_keep: ['num_logits_to_keep', 'logits_to_keep'],
  token_type_ids: ['token_type_ids'],
  cache_position: ['cache_position'],
  use_cache_branch: ['use_cache_branch'],
};

/** Of each graph's result, the names that exporters give it; a graph with one output needs none of them. */
const RESULTS: Readonly<Record<Role, readonly [ours: string, ...theirs: string[]]>> = {
  vision_encoder: [
    'image_features',
    'image_features',
    'image_embeds',
    'image_embeddings',
    'features',
    'last_hidden_state',
  ],
  embed_tokens: ['inputs_embeds', 'inputs_embeds', 'input_embeds', 'embeddings', 'embeds', 'last_hidden_state'],
  decoder: ['logits', 'logits', 'lm_logits'],
};

/** Our names that `map` may have, beside those of stages and caches. */
const OURS = new Set([...Object.keys(INPUTS), ...Object.values(RESULTS).map(([ours]) => ours)]);
const CACHE = /^(past_key_values|present)\.\d+\.(key|value)$/;
const STAGE = /^(lm|vit)\.(\d+|post_layernorm)$/;

/** @throws BackendError `unmapped-ports` for a name of `--map` that is none of ours */
export function checkOurNames(map: ReadonlyMap<string, string>): void {
  for (const ours of map.keys())
    if (!OURS.has(ours) && !CACHE.test(ours) && !STAGE.test(ours))
      throw new BackendError('unmapped-ports', `--map ${ours}=${map.get(ours)}: there is no "${ours}" to map`, {
        hint: `write ours first: ${[...OURS].join(', ')}, past_key_values.0.key, present.0.key, or a stage such as lm.1`,
      });
}

/** @throws BackendError `unmapped-ports` for a stage of `--map` behind the last of a decoder's layers */
export function checkStage(ours: string, layers: number): void {
  const layer = Number(/^lm\.(\d+)$/.exec(ours)?.[1] ?? 0);
  if (layer > layers)
    throw new BackendError('unmapped-ports', `--map ${ours}=…: the decoder has ${layers} layers`, {
      hint: `stages of it are lm.0 to lm.${layers}`,
    });
}

/** What the ports of a graph are, by their names and by `map` (ours to theirs), which goes first. */
export function portsOf(graph: GraphProto, all: ReadonlyMap<string, string> = new Map()): ForeignPorts {
  const initializers = new Set(graph.initializer.map(({ name }) => name));
  const made = new Set([
    ...graph.input.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
    ...graph.output.map(({ name }) => name),
  ]);
  // another graph may have the port by the name that it usually has
  const map = new Map([...all].filter(([, theirs]) => made.has(theirs)));
  const given = new Map([...map].flatMap(([ours, theirs]) => (STAGE.test(ours) ? [] : [[theirs, ours] as const])));
  const named = (theirs: string, known: string | undefined) => given.get(theirs) ?? known;
  // an input of ours that the user maps to one port is no other
  const free = (ours: string | undefined) => (ours !== undefined && map.has(ours) ? undefined : ours);
  // before IR version 4, initializers are inputs too
  const inputs = graph.input
    .filter(({ name }) => !initializers.has(name))
    .map((info) => port(info, named(info.name, free(inputName(info.name)))));
  const role = roleOf(inputs);
  const [result, ...theirResults] = role ? RESULTS[role] : ['' as const];
  const others = graph.output.filter(({ name }) => cacheName(name) === undefined && !given.has(name));
  const known = theirResults.find((name) => others.some((output) => output.name === name));
  const only = others.length === 1 ? others[0]!.name : undefined;
  const outputs = graph.output.map((info) => {
    const cache = cacheName(info.name);
    const own = cache ? `present.${cache}` : info.name === (known ?? only) ? result : undefined;
    return port(info, named(info.name, free(own)));
  });
  const stages = new Map([...map].filter(([ours]) => STAGE.test(ours)));
  return { role, inputs, outputs, stages };
}

/** Whether a graph has a tensor of that name, of whatever kind. */
export function hasTensor({ inputs, outputs, stages }: ForeignPorts, theirs: string): boolean {
  return [...inputs, ...outputs].some((each) => each.theirs === theirs) || [...stages.values()].includes(theirs);
}

/**
 * Why a graph cannot be driven: what it wants and nobody knows, and what it lacks; none when it can.
 */
export function problemsOf({ role, inputs, outputs }: ForeignPorts): readonly string[] {
  if (!role) return ['it has neither pixel_values, nor input_ids, nor inputs_embeds with a cache'];
  const has = (ports: readonly ForeignPort[], ours: string) => ports.some((each) => each.ours === ours);
  const unknown = inputs.filter(({ ours }) => ours === undefined || !TAKES[role].test(ours));
  const twice = [...inputs, ...outputs].filter(
    ({ ours }, i, all) => ours !== undefined && all.findIndex((other) => other.ours === ours) !== i,
  );
  const [result] = RESULTS[role];
  const problems = [
    ...unknown.map(({ theirs }) => `input "${theirs}" is nothing that can be given`),
    ...twice.map(({ ours, theirs }) => `"${theirs}" would be ${ours} a second time`),
    ...(has(outputs, result) ? [] : [`no output is known to be ${result}`]),
  ];
  if (role !== 'decoder') return problems;
  const mask = inputs.find(({ ours }) => ours === 'attention_mask');
  if (mask && mask.shape.length > 2)
    problems.push(`"${mask.theirs}" has ${mask.shape.length} axes: a mask of [batch, tokens] is given, 1 for a token`);
  const count = layersOf(inputs);
  return [
    ...problems,
    ...['inputs_embeds', 'attention_mask'].filter((ours) => !has(inputs, ours)).map((ours) => `no input is ${ours}`),
    ...(count === 0 ? ['no input is a KV cache'] : []),
    ...Array.from({ length: count }, (_, layer) =>
      ['key', 'value'].flatMap((kind) => [
        ...(has(inputs, `past_key_values.${layer}.${kind}`) ? [] : [`no input is past_key_values.${layer}.${kind}`]),
        ...(has(outputs, `present.${layer}.${kind}`) ? [] : [`no output is present.${layer}.${kind}`]),
      ]),
    ).flat(),
  ];
}

/** Layers of the KV cache among inputs. */
export function layersOf(inputs: readonly ForeignPort[]): number {
  return Math.max(0, ...inputs.map(({ ours }) => Number(/^past_key_values\.(\d+)\./.exec(ours ?? '')?.[1] ?? -1) + 1));
}

const TAKES: Readonly<Record<Role, RegExp>> = {
  vision_encoder: /^pixel_values$/,
  embed_tokens: /^input_ids$/,
  decoder:
    /^(inputs_embeds|attention_mask|position_ids|num_logits_to_keep|token_type_ids|cache_position|use_cache_branch|past_key_values\.\d+\.(key|value))$/,
};

/** @throws BackendError `unmapped-ports` with the graph's ports, and what is not known of them */
export function checkPorts(file: string, ports: ForeignPorts): void {
  const problems = problemsOf(ports);
  if (problems.length === 0) return;
  const list = (all: readonly ForeignPort[]) => all.map(portText).join(', ');
  throw new BackendError(
    'unmapped-ports',
    `${problems.slice(0, 6).join('; ')}${problems.length > 6 ? `; and ${problems.length - 6} more` : ''}. Its inputs: ${list(ports.inputs)}. Its outputs: ${list(ports.outputs)}`,
    { file, hint: 'say what they are with --map ours=theirs, as --map inputs_embeds=x' },
  );
}

function portText({ theirs, ours, dtype, shape }: ForeignPort): string {
  const meaning = ours === undefined ? '' : ours === theirs ? '' : ` as ${ours}`;
  return `${theirs} ${dtype}[${shape.join(', ')}]${meaning}`;
}

function roleOf(inputs: readonly ForeignPort[]): Role | undefined {
  const has = (ours: string) => inputs.some((each) => each.ours === ours);
  if (has('inputs_embeds') || inputs.some(({ ours }) => ours?.startsWith('past_key_values.'))) return 'decoder';
  if (has('pixel_values')) return 'vision_encoder';
  return has('input_ids') ? 'embed_tokens' : undefined;
}

function inputName(theirs: string): string | undefined {
  const cache = cacheName(theirs);
  if (cache) return `past_key_values.${cache}`;
  return Object.entries(INPUTS).find(([, names]) => names.includes(theirs))?.[0];
}

/**
 * `3.key` for every way in which exporters spell it: past_key_values.3.key, past.3.key, past_key_3, past_3_key,
 * present.3.decoder.key, key_cache_3. One number, and one of key and value beside it.
 */
function cacheName(theirs: string): string | undefined {
  if (!/past|present|cache|kv/i.test(theirs)) return undefined;
  const words = theirs
    .toLowerCase()
    .replace(/(past|present)_key_values?/, '$1')
    .split(/[^a-z0-9]+|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])/);
  const numbers = words.filter((word) => /^\d+$/.test(word));
  const kinds = new Set(
    words.flatMap((word) => (/^(k|keys?)$/.test(word) ? ['key'] : /^(v|values?)$/.test(word) ? ['value'] : [])),
  );
  if (numbers.length !== 1 || kinds.size !== 1) return undefined;
  return `${Number(numbers[0])}.${[...kinds][0]!}`;
}

function port({ name, type }: ValueInfoProto, ours: string | undefined): ForeignPort {
  const tensor = type?.value.case === 'tensorType' ? type.value.value : undefined;
  return {
    theirs: name,
    ours,
    dtype: tensor ? (elementTypeInfo[tensor.elemType]?.name ?? `onnx:${tensor.elemType}`) : '?',
    shape:
      tensor?.shape?.dim.map(({ value }) =>
        value.case === 'dimValue' ? Number(value.value) : value.case === 'dimParam' ? value.value : '?',
      ) ?? [],
  };
}
