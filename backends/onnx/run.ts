import type { DType } from '../../ir/dtypes/index.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { OpenOptions, Runner, RunOptions } from '../backend.ts';
import { BackendError } from '../error.ts';
import { modelPaths } from './bundle_files.ts';
import { readModelFile } from './decode.ts';
import { dtypeOfElementType } from './dtype.ts';
import { dtypeOf, fromOrt, toOrt } from './ort_tensor.ts';
import { loadRuntime, type InferenceSession, type OrtTensor, type Runtime } from './runtime.ts';
import { createSession, devices, messageOf, type Device } from './session.ts';
import { stageVariant } from './stage_variant.ts';

/** A session, the graph's own outputs, and the tensors of the stages that it returns beside them. */
interface OpenGraph {
  readonly session: InferenceSession;
  readonly outputs: readonly string[];
  readonly stages: ReadonlyMap<string, string>;
}

/** Opens a bundle in onnxruntime-node. Graphs are loaded when they are first run. @throws BackendError */
export async function open(dir: string, { device = devices[0] }: OpenOptions = {}): Promise<Runner> {
  const known = devices.find((name) => name === device);
  if (!known)
    throw new BackendError('unsupported', `the ONNX backend has no device "${device}"`, {
      hint: `choose ${devices.join(' or ')}`,
    });
  return new OnnxRunner(await loadRuntime(), dir, known);
}

class OnnxRunner implements Runner {
  readonly description: string;
  readonly #runtime: Runtime;
  readonly #dir: string;
  readonly #device: Device;
  readonly #open = new Map<string, Promise<OpenGraph>>();
  #paths: ReturnType<typeof modelPaths> | undefined;

  constructor(runtime: Runtime, dir: string, device: Device) {
    this.#runtime = runtime;
    this.#dir = dir;
    this.#device = device;
    this.description = `onnxruntime-node ${runtime.env.versions.node} ${device}`;
  }

  /** From the model file: no session is made for it. */
  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    const { model } = await readModelFile(await this.#path(graph));
    return Object.fromEntries(
      model.graph.input.flatMap(({ name, type }) =>
        type?.value.case === 'tensorType' ? [[name, dtypeOfElementType(type.value.value.elemType, name)] as const] : [],
      ),
    );
  }

  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    options: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    const { session, outputs, stages } = await this.#graph(graph, options.stages ?? []);
    const feeds: Record<string, OrtTensor> = {};
    for (const port of session.inputMetadata) {
      const input = inputs[port.name];
      if (!input)
        throw new BackendError('bad-input', `graph ${graph} needs the input "${port.name}"`, { tensor: port.name });
      if (!port.isTensor)
        throw new BackendError('unsupported', `input "${port.name}" is not a tensor`, { tensor: port.name });
      feeds[port.name] = toOrt(this.#runtime, port.name, input, dtypeOf(port.type));
    }
    const results = await session.run(feeds).catch((cause: unknown) => {
      throw new BackendError(
        'runtime-failed',
        `${this.description} failed in graph ${graph}: ${messageOf(cause)}`,
        { file: this.#dir, hint: hintFor(messageOf(cause)) },
        { cause },
      );
    });
    const named = new Map([...outputs.map((name) => [name, name] as const), ...stages]);
    return Object.fromEntries(
      [...named].map(([name, tensor]) => [name, results[tensor] ? fromOrt(results[tensor]) : inputs[tensor]!]),
    );
  }

  async dispose(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    for (const graph of opened) if (graph.status === 'fulfilled') await graph.value.session.release();
  }

  async #path(graph: string): Promise<string> {
    const paths = (this.#paths ??= modelPaths(this.#dir));
    // a manifest may be repaired
    paths.catch(() => (this.#paths = undefined));
    return (await paths)(graph);
  }

  /** The session of a graph with these stages, created once. */
  #graph(graph: string, stages: readonly string[]): Promise<OpenGraph> {
    const key = [graph, ...stages.toSorted()].join('\n');
    const known = this.#open.get(key) ?? this.#load(graph, stages);
    this.#open.set(key, known);
    known.catch(() => this.#open.delete(key));
    return known;
  }

  async #load(graph: string, stages: readonly string[]): Promise<OpenGraph> {
    const path = await this.#path(graph);
    const variant = await stageVariant(path, stages);
    const session = await createSession(this.#runtime, path, this.#device, variant.bytes);
    return { session, outputs: variant.outputs, stages: variant.tensors };
  }
}

function hintFor(message: string): string {
  return message.includes('requires f16')
    ? 'convert to fp32: this GPU has no f16 shaders (WebGPU feature shader-f16)'
    : 'check the shapes of the inputs';
}
