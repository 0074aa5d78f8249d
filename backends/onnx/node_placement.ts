import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '../../ir/tensor.ts';
import { BackendError } from '../error.ts';
import { modelPath } from './bundle_files.ts';
import { dtypeOf, toOrt } from './ort_tensor.ts';
import { loadRuntime, type OrtTensor } from './runtime.ts';
import { createSession, type Device } from './session.ts';

/** Kernels that ran in one pass, by provider (`CPU`, `WebGpu`) and op. */
export type NodePlacement = ReadonlyMap<string, ReadonlyMap<string, number>>;

/**
 * Where ONNX Runtime ran the nodes of a graph, from its own profile of one run: whether a "WebGPU" figure is one.
 * @throws BackendError as a run does.
 */
export async function nodePlacement(dir: string, graph: string, device: Device, inputs: Readonly<Record<string, Tensor>>): Promise<NodePlacement> {
  const runtime = await loadRuntime();
  const scratch = await mkdtemp(join(tmpdir(), 'pgconv-profile-'));
  try {
    const session = await createSession(runtime, await modelPath(dir, graph), device, undefined, { enableProfiling: true, profileFilePrefix: join(scratch, 'run') });
    try {
      const feeds: Record<string, OrtTensor> = {};
      for (const port of session.inputMetadata) if (port.isTensor) feeds[port.name] = toOrt(runtime, port.name, inputs[port.name]!, dtypeOf(port.type));
      await session.run(feeds);
      session.endProfiling();
    } finally {
      await session.release();
    }
    return countKernels(await readProfile(scratch));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function readProfile(folder: string): Promise<unknown> {
  const [file] = await readdir(folder);
  if (!file) throw new BackendError('runtime-failed', 'onnxruntime-node wrote no profile', { hint: 'use the version that package.json names' });
  return JSON.parse(await readFile(join(folder, file), 'utf8'));
}

/** Events of the Chrome trace format; a kernel's have its op and provider among their arguments. */
function countKernels(events: unknown): NodePlacement {
  const counts = new Map<string, Map<string, number>>();
  for (const event of Array.isArray(events) ? (events as { cat?: string; args?: { provider?: string; op_name?: string } }[]) : []) {
    const { provider, op_name: op } = event.args ?? {};
    if (event.cat !== 'Node' || !provider || !op) continue;
    const name = provider.replace(/ExecutionProvider$/, '');
    const ops = counts.get(name) ?? new Map<string, number>();
    ops.set(op, (ops.get(op) ?? 0) + 1);
    counts.set(name, ops);
  }
  return counts;
}
