import { BackendError } from '../../error.ts';
import type { TfGraph, TfNode } from '../graph.ts';
import { PACKED_OP } from '../known_ops.ts';
import type { Profile } from '../target.ts';
import { kernelTable, type KernelTable, type TfBackend } from './kernel_table.ts';
import { opKernels, refusedTypes } from './op_kernels.ts';

/** Backends that a bundle must run on: the packed op has a kernel on three. */
const BACKENDS: Readonly<Record<Profile, readonly TfBackend[]>> = {
  std: ['cpu', 'wasm', 'webgl', 'webgpu'],
  packed: ['cpu', 'wasm', 'webgpu'],
};

/**
 * Every node of a graph against what the converter's executor and the backends have: tfjs itself loads a graph with an
 * unknown op, or one without a kernel, and fails when it is run. @throws BackendError `unsupported` with the node, its
 * op, its types and the backend
 */
export function checkOps(graph: TfGraph, profile: Profile, table: KernelTable = kernelTable): void {
  const ops = new Set(table.ops);
  const kernels = new Map(BACKENDS[profile].map((backend) => [backend, new Set(table.kernels[backend])] as const));
  for (const node of graph.nodes) {
    if (node.op === PACKED_OP && profile === 'packed') continue;
    if (!ops.has(node.op)) throw refused(graph, node, `the executor of tfjs ${table.version} does not know it`);
    const needed = opKernels[node.op];
    if (!needed) throw refused(graph, node, 'it is not known which kernels it runs');
    for (const [backend, own] of kernels) {
      const missing = needed.find((kernel) => !own.has(kernel));
      if (missing)
        throw refused(graph, node, `the ${backend} backend of tfjs ${table.version} has no kernel ${missing}`);
    }
    const reason = refusedTypes(node);
    if (reason) throw refused(graph, node, `it ${reason}`);
  }
}

function refused({ name: graph }: TfGraph, { name, op, inputTypes }: TfNode, reason: string): BackendError {
  const types = inputTypes.map(({ dtype, rank }) => `${dtype} of ${rank} axes`).join(', ');
  return new BackendError(
    'unsupported',
    `graph ${graph}, node ${name}: ${op}(${types}) would fail when it is run: ${reason}`,
    { tensor: name },
  );
}
