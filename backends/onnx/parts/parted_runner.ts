import { create, toBinary } from '@bufbuild/protobuf';
import type { DType } from '../../../ir/dtypes/index.ts';
import { isAsked, isEarlier, yetToBeTaken, type GraphRun } from '../../../ir/graph_run.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import type { Runner, RunOptions, TogetherOptions } from '../../backend.ts';
import type { DeviceFacts } from '../../device_facts.ts';
import { BackendError } from '../../error.ts';
import { readModelFile } from '../decode.ts';
import { inputDtypesOf, stageTensorsOf } from '../model_ports.ts';
import { dtypeOf, fromOrt, toOrt } from '../ort_tensor.ts';
import {
  ModelProtoSchema,
  ValueInfoProtoSchema,
  TensorProto_DataType as DataType,
  type ModelProto,
  type GraphProto,
} from '../proto/onnx_pb.ts';
import type { InferenceSession, OrtTensor, Runtime } from '../runtime.ts';
import { createSession, messageOf, type Provider } from '../session.ts';
import { bytesOf, cutGraph, type Part } from './cut.ts';

/** A model file, its stages, and where it is cut. */
interface CutModel {
  readonly path: string;
  readonly model: ModelProto & { readonly graph: GraphProto };
  /** Tensor of each stage. */
  readonly stages: ReadonlyMap<string, string>;
}

/** Values of one run by the name of their tensor. */
type Values = Map<string, OrtTensor>;

/**
 * A bundle that does not fit into memory at once: each graph is cut into parts, each part is opened with its own
 * weights alone, all runs go through it, and it is closed. What a part computes is what ONNX Runtime computes of these
 * nodes; it never sees the graph as a whole.
 */
export class PartedRunner implements Runner {
  readonly description: string;
  readonly inParts = true;
  readonly device?: DeviceFacts;
  readonly #runtime: Runtime;
  readonly #provider: Provider;
  readonly #pathOf: (graph: string) => Promise<string>;
  readonly #maxBytes: number;
  readonly #cut = new Map<string, Promise<CutModel>>();

  /** @param maxBytes of weights of a part, as they are stored */
  constructor(
    runtime: Runtime,
    provider: Provider,
    pathOf: (graph: string) => Promise<string>,
    maxBytes: number,
    device?: DeviceFacts,
  ) {
    this.#runtime = runtime;
    if (device) this.device = device;
    this.#provider = provider;
    this.#pathOf = pathOf;
    this.#maxBytes = maxBytes;
    this.description = `onnxruntime-node ${runtime.env.versions.node} ${provider}, in parts`;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    return inputDtypesOf((await this.#model(graph)).model);
  }

  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    { stages = [] }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    return (await this.runTogether(graph, [{ inputs, stages }]))[0]!;
  }

  async runTogether(
    graph: string,
    runs: readonly GraphRun[],
    { onProgress, signal, onGiven }: TogetherOptions = {},
  ): Promise<readonly Readonly<Record<string, Tensor>>[]> {
    const cut = await this.#model(graph);
    const linked = new Map(
      runs.flatMap(({ inputs }) =>
        Object.entries(inputs).flatMap(([name, input]) => (isEarlier(input) ? [[name, input.output] as const] : [])),
      ),
    );
    const stageTensors = new Set(cut.stages.values());
    const parts = cutGraph(cut.model.graph, { stages: stageTensors, linked, maxBytes: this.#maxBytes });
    const all: Values[] = runs.map(() => new Map());
    const results: Record<string, Tensor>[] = runs.map(() => ({}));
    const outputs = new Set(cut.model.graph.output.map(({ name }) => name));
    /** Names under which a tensor is returned for a run: its own as an output, and those of asked stages. */
    const namesOf = (tensor: string, run: GraphRun) => [
      ...(outputs.has(tensor) && isAsked(run, tensor) ? [tensor] : []),
      ...(run.stages ?? []).filter((stage) => cut.stages.get(stage) === tensor),
    ];
    for (const [number, part] of parts.entries()) {
      signal?.throwIfAborted();
      const session = await this.#open(cut, part, all[0]!);
      try {
        for (const [i, run] of runs.entries()) {
          signal?.throwIfAborted();
          const feeds = this.#feeds(graph, session, run, all, i);
          const made = await this.#compute(session, feeds, cut.path);
          for (const [name, value] of Object.entries(made)) {
            all[i]!.set(name, value);
            for (const known of namesOf(name, run)) results[i]![known] = fromOrt(value);
          }
          const given = onGiven && this.#given(cut, parts, number, run, session);
          if (given) {
            const onIt = await this.#compute(session, { ...feeds, ...given }, cut.path);
            for (const [name, value] of Object.entries(onIt))
              for (const known of namesOf(name, run)) onGiven(i, known, fromOrt(value));
          }
        }
      } finally {
        await session.release();
      }
      const later = new Set(parts.slice(number + 1).flatMap(({ inputs }) => inputs));
      const taken = yetToBeTaken(runs, (_, input) => later.has(input));
      for (const [i, values] of all.entries())
        for (const name of values.keys()) if (!later.has(name) && !taken[i]!.has(name)) values.delete(name);
      onProgress?.(number + 1, parts.length);
    }
    // stages and outputs that are inputs of the graph, or another's tensor
    runs.forEach(({ inputs, stages = [] }, i) => {
      for (const stage of stages) {
        const tensor = cut.stages.get(stage);
        const input = tensor === undefined ? undefined : inputs[tensor];
        if (input && !isEarlier(input)) results[i]![stage] = input;
      }
    });
    return results;
  }

  async dispose(): Promise<void> {
    this.#cut.clear();
  }

  #model(graph: string): Promise<CutModel> {
    const known = this.#cut.get(graph) ?? this.#read(graph);
    this.#cut.set(graph, known);
    known.catch(() => this.#cut.delete(graph));
    return known;
  }

  async #read(graph: string): Promise<CutModel> {
    const path = await this.#pathOf(graph);
    const { model } = await readModelFile(path);
    return { path, model, stages: stageTensorsOf(model) };
  }

  /** @param values of any run: their types are those of the part's inputs */
  #open({ path, model }: CutModel, part: Part, values: Values): Promise<InferenceSession> {
    const { graph } = model;
    const own = new Set(part.initializers);
    const known = new Map(graph.input.map((port) => [port.name, port]));
    const typed = (name: string, elemType: DataType) =>
      create(ValueInfoProtoSchema, { name, type: { value: { case: 'tensorType', value: { elemType } } } });
    const input = part.inputs.map(
      (name) => known.get(name) ?? typed(name, ELEMENT_TYPES[values.get(name)!.type as keyof typeof ELEMENT_TYPES]),
    );
    const declared = new Map([...graph.output, ...graph.valueInfo].map((port) => [port.name, port]));
    const bytes = toBinary(ModelProtoSchema, {
      ...model,
      graph: {
        ...graph,
        node: graph.node.slice(part.begin, part.end),
        initializer: graph.initializer.filter(({ name }) => own.has(name)),
        input,
        // the runtime infers the type of what is not declared
        output: part.outputs.map((name) => declared.get(name) ?? create(ValueInfoProtoSchema, { name })),
        valueInfo: [],
      },
    });
    // of a shard of a large head, which is widened to f32 as it is, a copy more would not fit beside the rest
    const prepack = !graph.initializer.some(
      (tensor) => own.has(tensor.name) && FLOATS.has(tensor.dataType) && bytesOf(tensor) > this.#maxBytes,
    );
    return createSession(this.#runtime, path, this.#provider, bytes, { enableCpuMemArena: false, prepack });
  }

  #feeds(
    graph: string,
    session: InferenceSession,
    { inputs }: GraphRun,
    all: readonly Values[],
    i: number,
  ): Record<string, OrtTensor> {
    return Object.fromEntries(
      session.inputMetadata.map((port) => {
        const made = all[i]!.get(port.name);
        if (made) return [port.name, made] as const;
        const input = inputs[port.name];
        if (!input)
          throw new BackendError('bad-input', `graph ${graph} needs the input "${port.name}"`, { tensor: port.name });
        if (isEarlier(input)) {
          const earlier = all[input.run]?.get(input.output);
          if (!earlier || input.run >= i)
            throw new BackendError('bad-input', `no earlier run gives "${input.output}"`, { tensor: port.name });
          return [port.name, earlier] as const;
        }
        if (!port.isTensor)
          throw new BackendError('unsupported', `input "${port.name}" is not a tensor`, { tensor: port.name });
        return [port.name, toOrt(this.#runtime, port.name, input, dtypeOf(port.type))] as const;
      }),
    );
  }

  async #compute(
    session: InferenceSession,
    feeds: Record<string, OrtTensor>,
    file: string,
  ): Promise<Record<string, OrtTensor>> {
    return session.run(feeds).catch((cause: unknown) => {
      throw new BackendError(
        'runtime-failed',
        `${this.description} failed: ${messageOf(cause)}`,
        { file, hint: 'check the shapes of the inputs' },
        { cause },
      );
    });
  }

  /**
   * The reference's value in place of the stage that a part begins with; undefined for one that begins elsewhere, or
   * reads more of what parts but the first computed.
   */
  #given(
    { stages }: CutModel,
    parts: readonly Part[],
    number: number,
    { given = {} }: GraphRun,
    session: InferenceSession,
  ): Record<string, OrtTensor> | undefined {
    const part = parts[number]!;
    const first = new Set(parts[0]!.outputs);
    const [stage, ...others] = [...stages].filter(([, tensor]) => part.inputs.includes(tensor));
    if (number === 0 || !stage || others.length > 0) return undefined;
    const [name, tensor] = stage;
    const computed = parts.slice(1, number).flatMap(({ outputs }) => outputs);
    if (part.inputs.some((input) => input !== tensor && computed.includes(input) && !first.has(input)))
      return undefined;
    const value = given[name];
    const port = session.inputMetadata.find((each) => each.name === tensor);
    if (!value || !port?.isTensor) return undefined;
    const dtype = dtypeOf(port.type);
    return { [tensor]: toOrt(this.#runtime, tensor, tensorOf(dtype, value.shape, value.data), dtype) };
  }
}

const FLOATS: ReadonlySet<number> = new Set([DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16]);

/** Of the runtime's names. */
const ELEMENT_TYPES = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  float64: DataType.DOUBLE,
  int8: DataType.INT8,
  uint8: DataType.UINT8,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
} as const;
