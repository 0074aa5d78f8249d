import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '../../../ir/tensor.ts';
import type { Value } from '../../../ir/graph.ts';
import { fromOrt, toOrt, dtypeOf } from '../ort_tensor.ts';
import { loadRuntime, type OrtTensor } from '../runtime.ts';
import { createSession, type Provider } from '../session.ts';
import { modelFile } from '../model_file.ts';
import type { OnnxNode } from '../lower/model.ts';

/**
 * Nodes as they are written here, run once: for what this backend does not emit.
 * @throws BackendError as the runtime refuses.
 */
export async function runNodes(
  nodes: readonly OnnxNode[],
  inputs: Readonly<Record<string, Tensor>>,
  output: Value,
  device: Provider,
): Promise<Tensor> {
  const values = Object.entries(inputs).map(([name, { dtype, shape }]): Value => ({ name, type: { dtype, shape } }));
  const file = modelFile(
    'model.onnx',
    {
      name: 'raw',
      inputs: values,
      outputs: [{ name: output.name, value: output }],
      nodes,
      initializers: [],
      stages: [],
    },
    [],
    [],
  );
  const dir = await mkdtemp(join(tmpdir(), 'pgconv-raw-'));
  try {
    const pieces: Uint8Array[] = [];
    for await (const { bytes } of file.chunks()) pieces.push(bytes);
    await writeFile(join(dir, file.path), Buffer.concat(pieces));
    const runtime = await loadRuntime();
    const session = await createSession(runtime, join(dir, file.path), device);
    try {
      const feeds: Record<string, OrtTensor> = {};
      for (const port of session.inputMetadata)
        if (port.isTensor) feeds[port.name] = toOrt(runtime, port.name, inputs[port.name]!, dtypeOf(port.type));
      return fromOrt((await session.run(feeds))[output.name]!);
    } finally {
      await session.release();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
