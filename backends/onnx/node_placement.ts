import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '../../ir/tensor.ts';
import { BackendError } from '../error.ts';
import { modelPath } from './bundle_files.ts';
import { dtypeOf, toOrt } from './ort_tensor.ts';
import { loadRuntime, type OrtTensor } from './runtime.ts';
import { createSession, type Provider } from './session.ts';

/** Kernels that ran in one pass, by provider (`CPU`, `WebGpu`) and op. */
export type NodePlacement = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** One kernel that ran, as ONNX Runtime's profile tells of it. */
export interface KernelRun {
  /** `CPU`, `WebGpu` */
  readonly provider: string;
  readonly op: string;
  /** Element types as the profile spells them (`float`, `int64`), with shapes. */
  readonly inputs: readonly TypedShape[];
  readonly outputs: readonly TypedShape[];
  /**
   * The most memory that the session's arena had given out until then, in bytes; 0 where the provider does not count.
   */
  readonly peakBytes: number;
}

export interface TypedShape {
  readonly type: string;
  readonly shape: readonly number[];
}

/**
 * Where ONNX Runtime ran the nodes of a graph, from its own profile of one run: whether a "WebGPU" figure is one.
 * @throws BackendError as a run does.
 */
export async function nodePlacement(
  dir: string,
  graph: string,
  provider: Provider,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<NodePlacement> {
  const counts = new Map<string, Map<string, number>>();
  for (const { provider: ran, op } of await kernelRuns(dir, graph, provider, inputs)) {
    const ops = counts.get(ran) ?? new Map<string, number>();
    ops.set(op, (ops.get(op) ?? 0) + 1);
    counts.set(ran, ops);
  }
  return counts;
}

/** The kernels of one run, in order. @throws BackendError as a run does. */
export async function kernelRuns(
  dir: string,
  graph: string,
  provider: Provider,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<KernelRun[]> {
  const runtime = await loadRuntime();
  const scratch = await mkdtemp(join(tmpdir(), 'pgconv-profile-'));
  try {
    const session = await createSession(runtime, await modelPath(dir, graph), provider, undefined, {
      enableProfiling: true,
      profileFilePrefix: join(scratch, 'run'),
    });
    try {
      const feeds: Record<string, OrtTensor> = {};
      for (const port of session.inputMetadata)
        if (port.isTensor) feeds[port.name] = toOrt(runtime, port.name, inputs[port.name]!, dtypeOf(port.type));
      await session.run(feeds);
      session.endProfiling();
    } finally {
      await session.release();
    }
    return kernelsOf(await readProfile(scratch));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function readProfile(folder: string): Promise<unknown> {
  const [file] = await readdir(folder);
  if (!file)
    throw new BackendError('runtime-failed', 'onnxruntime-node wrote no profile', {
      hint: 'use the version that package.json names',
    });
  return JSON.parse(await readFile(join(folder, file), 'utf8'));
}

type Arguments = Readonly<Record<string, unknown>>;

/** Events of the Chrome trace format; a kernel's have its op and provider among their arguments. */
function kernelsOf(events: unknown): KernelRun[] {
  return (Array.isArray(events) ? (events as readonly { cat?: string; args?: Arguments }[]) : []).flatMap(
    ({ cat, args = {} }) => {
      const { provider, op_name: op } = args;
      if (cat !== 'Node' || typeof provider !== 'string' || typeof op !== 'string' || provider === '' || op === '')
        return [];
      const peakBytes = Number(args['mem_in_use_peak'] ?? 0);
      return [
        {
          provider: provider.replace(/ExecutionProvider$/, ''),
          op,
          inputs: typedShapes(args['input_type_shape']),
          outputs: typedShapes(args['output_type_shape']),
          peakBytes,
        },
      ];
    },
  );
}

/** `[{"float": [1, 8]}, {"int64": []}]` */
function typedShapes(list: unknown): TypedShape[] {
  return (Array.isArray(list) ? (list as readonly Readonly<Record<string, readonly number[]>>[]) : []).flatMap(
    (entry) => Object.entries(entry).map(([type, shape]) => ({ type, shape })),
  );
}
