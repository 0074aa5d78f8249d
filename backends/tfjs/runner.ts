import type { DType } from '../../ir/dtypes/index.ts';
import { elementCount, tensorOf, type Tensor } from '../../ir/tensor.ts';
import type { Runner, RunOptions } from '../backend.ts';
import type { DeviceFacts } from '../device_facts.ts';
import { BackendError } from '../error.ts';
import { asBackendError } from '../as_backend_error.ts';
import type { Engine } from './driver/engine.ts';
import type { PartedGraph } from './driver/parted_graph.ts';
import type { Tensor as TfTensor } from './driver/tfjs.ts';
import type { TfDType } from './graph.ts';
import { resized } from './axes.ts';

/** What the outside calls element types: integers of the IR have 64 bits. */
const DTYPES: Readonly<Record<TfDType, DType>> = { float32: 'f32', int32: 'i64', bool: 'bool' };
/** The size of caches, and the input that says how much of them is filled: parts/ makes both. */
const CAPACITY = 'capacity';
const PAST = 'past';
/** Rows beyond those that a run fills: what is masked must not count. */
const SPARE_ROWS = 3;

/**
 * Graphs of a bundle in tfjs under the ports of the IR, whose caches grow: here they are put into some with room, and
 * cut out of them.
 */
export class TfjsRunner implements Runner {
  readonly description: string;
  readonly device?: DeviceFacts;
  readonly #engine: Engine;
  readonly #close: () => Promise<void>;
  /** Runs are one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param close gives back what belongs to the engine */
  constructor(engine: Engine, description: string, close: () => Promise<void>, device?: DeviceFacts) {
    this.#engine = engine;
    this.description = description;
    if (device) this.device = device;
    this.#close = close;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    const { inputs } = this.#graph(graph).plan;
    return Object.fromEntries(
      inputs.flatMap(({ name, dtype }) => (name === PAST ? [] : [[name, DTYPES[dtype]] as const])),
    );
  }

  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    { stages = [] }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    const run = this.#last.then(() => this.#run(this.#graph(graph), inputs, stages));
    this.#last = run.catch(() => undefined);
    return run.catch((error: unknown) => {
      throw asBackendError(error);
    });
  }

  async dispose(): Promise<void> {
    await this.#last;
    this.#engine.dispose();
    await this.#close();
  }

  #graph(name: string): PartedGraph {
    const graph = this.#engine.graph(name);
    if (!graph) throw new BackendError('bad-input', `the bundle has no graph "${name}"`);
    return graph;
  }

  async #run(
    graph: PartedGraph,
    inputs: Readonly<Record<string, Tensor>>,
    stages: readonly string[],
  ): Promise<Readonly<Record<string, Tensor>>> {
    const { tf } = this.#engine;
    const { plan } = graph;
    const feeds: Record<string, TfTensor> = {};
    const made: TfTensor[] = [];
    try {
      const { total, past } = filledRows(graph, inputs);
      for (const { name, dtype, shape } of plan.inputs) {
        if (name === PAST && plan.caches.length > 0) {
          feeds[name] = tf.scalar(past, 'int32');
          continue;
        }
        const given = inputs[name];
        if (!given)
          throw new BackendError('bad-input', `graph ${plan.name} needs the input "${name}"`, { tensor: name });
        const axis = shape.indexOf(CAPACITY);
        feeds[name] = this.#tensor(name, dtype, axis < 0 ? given : resized(given, axis, total + SPARE_ROWS));
      }
      for (const table of plan.tables) {
        const ids = inputs[table.ids]!;
        feeds[table.input] = tf.tensor(
          await this.#engine.rows(table, ids.data),
          [...ids.shape, table.columns],
          'float32',
        );
      }
      const names = plan.outputs.flatMap(
        ({ name }) => plan.joins.find(({ output }) => output === name)?.pieces ?? [name],
      );
      const wanted = [...new Set([...names, ...stages.filter((stage) => graph.hasStage(stage))])];
      const results = await this.#engine.run(graph, feeds, wanted);
      made.push(...Object.values(results));
      const read = async (name: string): Promise<Tensor> => {
        const { shape, dtype } = results[name]!;
        return tensorOf(DTYPES[dtype as TfDType], shape, await results[name]!.data<'float32'>());
      };
      const outputs: Record<string, Tensor> = {};
      for (const { name, shape } of plan.outputs) {
        const join = plan.joins.find(({ output }) => output === name);
        const whole = join ? joined(await Promise.all(join.pieces.map(read)), join.axis) : await read(name);
        const axis = shape.indexOf(CAPACITY);
        outputs[name] = axis < 0 ? whole : resized(whole, axis, total);
      }
      for (const stage of stages) if (results[stage]) outputs[stage] = await read(stage);
      return outputs;
    } finally {
      for (const tensor of new Set([...Object.values(feeds), ...made])) tensor.dispose();
    }
  }

  #tensor(name: string, dtype: TfDType, { data, shape, dtype: given }: Tensor): TfTensor {
    const { tf } = this.#engine;
    const isInteger = given === 'i64' || given === 'i32';
    if (dtype === 'float32' ? given !== 'f32' && given !== 'f16' : dtype === 'int32' ? !isInteger : given !== 'bool')
      throw new BackendError('bad-input', `input "${name}" is ${given}, not ${DTYPES[dtype]}`, { tensor: name });
    if (dtype === 'float32') return tf.tensor(Float32Array.from(data), [...shape], dtype);
    if (dtype === 'bool') return tf.tensor(Uint8Array.from(data), [...shape], dtype);
    const outside = data.find((x) => x < -(2 ** 31) || x >= 2 ** 31);
    if (outside !== undefined)
      throw new BackendError('bad-input', `input "${name}" holds ${outside}, which 32 bits do not`, { tensor: name });
    return tf.tensor(Int32Array.from(data), [...shape], dtype);
  }
}

/** How many rows caches have before a run (`past`) and after it: what the inputs beside them state. */
function filledRows(
  { plan }: PartedGraph,
  inputs: Readonly<Record<string, Tensor>>,
): { readonly past: number; readonly total: number } {
  const caches = new Set(plan.caches.map(({ past }) => past));
  const sized = plan.inputs.flatMap(({ name, shape }) =>
    shape.includes(CAPACITY) && inputs[name] ? [{ name, rows: inputs[name].shape[shape.indexOf(CAPACITY)]! }] : [],
  );
  return {
    past: sized.find(({ name }) => caches.has(name))?.rows ?? 0,
    total: Math.max(0, ...sized.filter(({ name }) => !caches.has(name)).map(({ rows }) => rows)),
  };
}

function joined(pieces: readonly Tensor[], axis: number): Tensor {
  const [first, ...more] = pieces as [Tensor, ...Tensor[]];
  if (more.length === 0) return first;
  const shape = first.shape.with(
    axis,
    pieces.reduce((sum, piece) => sum + piece.shape[axis]!, 0),
  );
  const data = new Float32Array(elementCount(shape));
  let at = 0;
  for (let row = 0; row < elementCount(shape.slice(0, axis)); row++)
    for (const piece of pieces) {
      const width = elementCount(piece.shape.slice(axis));
      data.set(piece.data.subarray(row * width, (row + 1) * width), at);
      at += width;
    }
  return tensorOf(first.dtype, shape, data);
}
