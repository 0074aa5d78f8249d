import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DType } from '../../ir/dtypes/index.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { OpenOptions, Runner, RunOptions } from '../backend.ts';
import type { DeviceFacts } from '../device_facts.ts';
import { pageProvider } from '../devices.ts';
import { nodeDevice } from '../node_device.ts';
import { openInPage } from '../browser/open_in_page.ts';
import { modelPath, modelPaths } from './bundle_files.ts';
import { readModelFile } from './decode.ts';
import { DEVICES, nodeProvider } from './devices.ts';
import { inputDtypesOf } from './model_ports.ts';
import { client } from './web_client.ts';
import { PartedRunner } from './parts/parted_runner.ts';
import { runSession, type OpenGraph } from './run_session.ts';
import { loadRuntime, type Runtime } from './runtime.ts';
import { createSession, type Provider } from './session.ts';
import { stageVariant } from './stage_variant.ts';

/**
 * Bytes of memory that a bundle takes at most for each byte of its files: an fp16 3B of 5.8 GB takes 15.7 GB, since
 * kernels for CPUs have f32 copies of its weights, and those in the layout that products read.
 */
const MEMORY_PER_BYTE = 3;

/**
 * What of the memory the weights of a part may take as they are stored: beside them lie copies, values, the reference.
 */
const PART_SHARE = 1 / 16;

/**
 * Opens a bundle in onnxruntime-node, or in a page in onnxruntime-web. Graphs are loaded when they are first run; in
 * Node part by part where they would take more than `memory`. @throws BackendError
 */
export async function open(
  dir: string,
  { device = DEVICES[0], memory = Infinity, browser }: OpenOptions = {},
): Promise<Runner> {
  const inPage = pageProvider(device);
  if (inPage) return openInPage(dir, client, { device, provider: inPage, browser });
  const provider = nodeProvider(device);
  const runtime = await loadRuntime();
  const facts = await nodeDevice(device, provider === 'webgpu');
  if (memory === Infinity || (await bytesUnder(dir)) * MEMORY_PER_BYTE <= memory)
    return new OnnxRunner(runtime, dir, provider, facts);
  return new PartedRunner(runtime, provider, (graph) => modelPath(dir, graph), memory * PART_SHARE, facts);
}

/** Of all files in a folder, and in folders within it. */
async function bytesUnder(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

class OnnxRunner implements Runner {
  readonly description: string;
  readonly device: DeviceFacts;
  readonly #runtime: Runtime;
  readonly #dir: string;
  readonly #provider: Provider;
  readonly #open = new Map<string, Promise<OpenGraph>>();
  #paths: ReturnType<typeof modelPaths> | undefined;

  constructor(runtime: Runtime, dir: string, provider: Provider, device: DeviceFacts) {
    this.#runtime = runtime;
    this.#dir = dir;
    this.device = device;
    this.#provider = provider;
    this.description = `onnxruntime-node ${runtime.env.versions.node} ${provider}`;
  }

  /** From the model file: no session is made for it. */
  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    return inputDtypesOf((await readModelFile(await this.#path(graph))).model);
  }

  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    options: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    const place = { graph, description: this.description, file: this.#dir };
    return runSession(this.#runtime, await this.#graph(graph, options.stages ?? []), inputs, place);
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
    const variant = stageVariant((await readModelFile(path)).model, path, stages);
    const session = await createSession(this.#runtime, path, this.#provider, variant.bytes);
    return { session, outputs: variant.outputs, stages: variant.tensors };
  }
}
