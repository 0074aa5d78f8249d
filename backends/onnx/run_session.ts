import type { Tensor } from '../../ir/tensor.ts';
import { BackendError } from '../error.ts';
import { dtypeOf, fromOrt, toOrt } from './ort_tensor.ts';
import type { InferenceSession, OrtTensor, Runtime } from './runtime.ts';

/** A session, the graph's own outputs, and the tensors of the stages that it returns beside them. */
export interface OpenGraph {
  readonly session: InferenceSession;
  readonly outputs: readonly string[];
  readonly stages: ReadonlyMap<string, string>;
}

/** For messages. */
export interface RunPlace {
  readonly graph: string;
  /** What runs it. */
  readonly description: string;
  readonly file: string;
}

/** Runs a graph in ONNX Runtime, in Node or in a page. @throws BackendError */
export async function runSession(
  runtime: Pick<Runtime, 'Tensor'>,
  { session, outputs, stages }: OpenGraph,
  inputs: Readonly<Record<string, Tensor>>,
  { graph, description, file }: RunPlace,
): Promise<Readonly<Record<string, Tensor>>> {
  const feeds: Record<string, OrtTensor> = {};
  for (const port of session.inputMetadata) {
    const input = inputs[port.name];
    if (!input)
      throw new BackendError('bad-input', `graph ${graph} needs the input "${port.name}"`, { tensor: port.name });
    if (!port.isTensor)
      throw new BackendError('unsupported', `input "${port.name}" is not a tensor`, { tensor: port.name });
    feeds[port.name] = toOrt(runtime, port.name, input, dtypeOf(port.type));
  }
  const results = await session.run(feeds).catch((cause: unknown) => {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new BackendError(
      'runtime-failed',
      `${description} failed in graph ${graph}: ${message}`,
      { file, hint: hintFor(message) },
      { cause },
    );
  });
  const named = new Map([...outputs.map((name) => [name, name] as const), ...stages]);
  return Object.fromEntries(
    [...named].map(([name, tensor]) => [name, results[tensor] ? fromOrt(results[tensor]) : inputs[tensor]!]),
  );
}

function hintFor(message: string): string {
  return message.includes('requires f16')
    ? 'convert to fp32: this GPU has no f16 shaders (WebGPU feature shader-f16)'
    : 'check the shapes of the inputs';
}
