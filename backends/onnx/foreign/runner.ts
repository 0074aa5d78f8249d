import { dtypes, isFloat, type DType } from '../../../ir/dtypes/index.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import type { Runner, RunOptions } from '../../backend.ts';
import type { DeviceFacts } from '../../device_facts.ts';
import { BackendError } from '../../error.ts';
import { dtypeOf, fromOrt, toOrt } from '../ort_tensor.ts';
import type { InferenceSession, OrtTensor, Runtime } from '../runtime.ts';
import { createSession, messageOf, type Provider } from '../session.ts';
import type { ForeignGraph } from './find.ts';
import { candidates, nearest, withOutputs } from './nearest.ts';
import type { Role } from './ports.ts';

type Tensors = Readonly<Record<string, Tensor>>;

interface Session {
  readonly session: InferenceSession;
  /** Beside the graph's own outputs. */
  readonly added: readonly string[];
}

/**
 * An export in ONNX Runtime under our names of ports: inputs in the dtypes that it takes, results as f32 but for the
 * cache; inputs that only some exports have, made of the others; logits cut where the graph gives all.
 */
export class ForeignRunner implements Runner {
  readonly description: string;
  readonly seeksStages = true;
  readonly device: DeviceFacts;
  readonly #runtime: Runtime;
  readonly #provider: Provider;
  readonly #graphs: ReadonlyMap<Role, ForeignGraph>;
  readonly #open = new Map<string, Promise<Session>>();

  constructor(runtime: Runtime, provider: Provider, graphs: ReadonlyMap<Role, ForeignGraph>, device: DeviceFacts) {
    this.#runtime = runtime;
    this.device = device;
    this.#provider = provider;
    this.#graphs = graphs;
    this.description = `onnxruntime-node ${runtime.env.versions.node} ${provider}`;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    const { inputs } = this.#graph(graph).ports;
    return Object.fromEntries(inputs.map(({ ours, dtype }) => [ours!, dtype as DType]));
  }

  async run(graph: string, inputs: Tensors, { stages = [], like = {} }: RunOptions = {}): Promise<Tensors> {
    const found = this.#graph(graph);
    const { ports, path } = found;
    const named = stages.filter((stage) => ports.stages.has(stage));
    const sought = Object.keys(like).filter((stage) => stages.includes(stage) && !ports.stages.has(stage));
    const { session, added } = await this.#session(
      found,
      named.map((stage) => ports.stages.get(stage)!),
      sought.length > 0,
    );
    const feeds: Record<string, OrtTensor> = {};
    for (const port of session.inputMetadata) {
      const ours = ports.inputs.find(({ theirs }) => theirs === port.name)?.ours;
      const input = ours === undefined ? undefined : (inputs[ours] ?? madeOf(inputs, ours));
      if (!input || !port.isTensor)
        throw new BackendError('bad-input', `${path} needs the input "${port.name}"`, { tensor: port.name });
      const dtype = dtypeOf(port.type);
      feeds[port.name] = toOrt(this.#runtime, port.name, inDtype(input, dtype), dtype);
    }
    const results = await session.run(feeds).catch((cause: unknown) => {
      throw new BackendError(
        'runtime-failed',
        `${this.description} failed in ${path}: ${messageOf(cause)}`,
        { file: path, hint: 'a graph with fixed sizes cannot be asked all cases: export it with dynamic axes' },
        { cause },
      );
    });
    const values = new Map(
      Object.entries(results).flatMap(([name, value]) => (isReadable(value) ? [[name, fromOrt(value)] as const] : [])),
    );
    const out: Record<string, Tensor> = {};
    for (const { ours, theirs } of ports.outputs)
      if (ours !== undefined) out[ours] = resultOf(ours, values.get(theirs)!, inputs, found);
    for (const stage of named) {
      const theirs = ports.stages.get(stage)!;
      out[stage] = inDtype(values.get(theirs) ?? givenAs(found, theirs, inputs), 'f32');
    }
    const among = [
      ...added.flatMap((name) => values.get(name) ?? []),
      ...Object.values(out),
      ...Object.values(inputs),
    ].filter((each) => isFloat(each.dtype));
    // an output is what it is, whatever inside is nearer
    for (const stage of sought.filter((name) => !out[name])) {
      const value = nearest(like[stage]!, among, countedRows(graph, inputs));
      if (value) out[stage] = value;
    }
    return out;
  }

  async dispose(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    for (const each of opened) if (each.status === 'fulfilled') await each.value.session.release();
  }

  #graph(name: string): ForeignGraph {
    const graph = this.#graphs.get(name as Role);
    if (graph) return graph;
    throw new BackendError('bundle-missing', `the export has no graph "${name}"`, {
      hint: `it has ${[...this.#graphs.keys()].join(', ')}`,
    });
  }

  #session(graph: ForeignGraph, named: readonly string[], seeks: boolean): Promise<Session> {
    const key = [graph.path, seeks, ...named].join('\n');
    const known = this.#open.get(key) ?? this.#load(graph, named, seeks);
    this.#open.set(key, known);
    known.catch(() => this.#open.delete(key));
    return known;
  }

  async #load({ path, ports }: ForeignGraph, named: readonly string[], seeks: boolean): Promise<Session> {
    const inputs = new Set(ports.inputs.map(({ theirs }) => theirs));
    const wanted = new Set([...named.filter((name) => !inputs.has(name)), ...(seeks ? await candidates(path) : [])]);
    const added = [...wanted];
    const bytes = added.length > 0 ? await withOutputs(path, added) : undefined;
    return { session: await createSession(this.#runtime, path, this.#provider, bytes), added };
  }
}

/** A stage that is an input of the graph. */
function givenAs({ ports }: ForeignGraph, theirs: string, inputs: Tensors): Tensor {
  return inputs[ports.inputs.find((port) => port.theirs === theirs)!.ours!]!;
}

/** Inputs that only some exports have: of the tokens that are read, behind those that were. */
function madeOf(inputs: Tensors, ours: string): Tensor | undefined {
  const [mask, embeds] = [inputs['attention_mask'], inputs['inputs_embeds']];
  if (!mask || !embeds) return undefined;
  const [batch, length] = embeds.shape as readonly [number, number];
  const past = mask.shape[1]! - length;
  switch (ours) {
    case 'token_type_ids':
      // 0 for a prompt, which is seen both ways, 1 for what is read behind it
      return tensorOf('i64', [batch, length], Array<number>(batch * length).fill(past === 0 ? 0 : 1));
    case 'cache_position':
      return tensorOf(
        'i64',
        [length],
        Array.from({ length }, (_, i) => past + i),
      );
    case 'use_cache_branch':
      return tensorOf('bool', [1], [past > 0 ? 1 : 0]);
    default:
      return undefined;
  }
}

function inDtype(tensor: Tensor, dtype: DType): Tensor {
  return tensor.dtype === dtype ? tensor : tensorOf(dtype, tensor.shape, tensor.data);
}

/** Types that ONNX Runtime has and that no stage has are passed over. */
function isReadable({ type }: OrtTensor): boolean {
  return ['float32', 'float16', 'int32', 'int64', 'bool'].includes(type);
}

function resultOf(ours: string, value: Tensor, inputs: Tensors, { ports }: ForeignGraph): Tensor {
  if (ours.startsWith('present.')) return value;
  const floats = inDtype(value, 'f32');
  if (ours === 'image_features' && floats.shape.length === 2) {
    const images = inputs['pixel_values']!.shape[0]!;
    const [rows, width] = floats.shape as readonly [number, number];
    return { ...floats, shape: [images, rows / images, width] };
  }
  const keep = inputs['num_logits_to_keep']?.data[0] ?? 0;
  if (ours !== 'logits' || keep === 0 || ports.inputs.some((port) => port.ours === 'num_logits_to_keep')) return floats;
  return lastPositions(floats, keep);
}

/** The last positions of [batch, positions, width]. */
function lastPositions({ dtype, shape, data }: Tensor, count: number): Tensor {
  const [batch, positions, width] = shape as readonly [number, number, number];
  if (count >= positions) return { dtype, shape, data };
  const out = dtypes[dtype].allocate(batch * count * width);
  for (let b = 0; b < batch; b++)
    out.set(data.subarray((b * positions + positions - count) * width, (b + 1) * positions * width), b * count * width);
  return { dtype, shape: [batch, count, width], data: out };
}

/** Of a decoder, the tokens that are read and are no padding. */
function countedRows(graph: string, inputs: Tensors): readonly boolean[] | undefined {
  const mask = inputs['attention_mask'];
  const length = inputs['inputs_embeds']?.shape[1];
  if (graph !== 'decoder' || !mask || length === undefined) return undefined;
  const [batch, total] = mask.shape as readonly [number, number];
  return Array.from({ length: batch }, (_, b) =>
    Array.from({ length }, (_row, i) => mask.data[b * total + total - length + i] !== 0),
  ).flat();
}
