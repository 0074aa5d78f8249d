import type { DType } from '../../ir/dtypes/index.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Runner, RunOptions } from '../backend.ts';
import type { PageModule } from '../browser/page/main.ts';
import type { PageOptions } from '../browser/page/hello.ts';
import { BackendError } from '../error.ts';
import { decodeModel, type DecodedModel } from './decode_model.ts';
import { inputDtypesOf } from './model_ports.ts';
import type { PreparedGraph } from './page_graphs.ts';
import { runSession, type OpenGraph } from './run_session.ts';
import type { Runtime } from './runtime.ts';
import { stageVariant } from './stage_variant.ts';

/* A bundle in onnxruntime-web, as it is in a user's page. */

/** What this needs of onnxruntime-web, which has the interface of onnxruntime-node. */
type WebRuntime = Pick<Runtime, 'InferenceSession' | 'Tensor' | 'env'>;

/** Log severity 4 is fatal: errors come back as exceptions, which say the same. */
const LOG_SEVERITY = 4;

/** Opens a bundle; graphs are loaded when they are first run. */
export const open: PageModule['open'] = async (options) => {
  const folder = `${options.packages}onnxruntime-web/dist/`;
  const script = options.provider === 'webgpu' ? 'ort.webgpu.min.mjs' : 'ort.wasm.min.mjs';
  const runtime = (await import(/* @vite-ignore */ `${folder}${script}`)) as WebRuntime;
  runtime.env.wasm.wasmPaths = folder;
  return new WebRunner(runtime, options);
};

class WebRunner implements Runner {
  readonly description: string;
  readonly #runtime: WebRuntime;
  readonly #options: PageOptions;
  readonly #models = new Map<string, Promise<DecodedModel>>();
  /** One a graph: sessions share 4 GiB. */
  readonly #open = new Map<string, { readonly stages: string; readonly opened: OpenGraph }>();

  constructor(runtime: WebRuntime, options: PageOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.description = `onnxruntime-web ${runtime.env.versions.common} ${options.provider}`;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    return inputDtypesOf(await this.#model(graph));
  }

  /** The page makes calls one by one. */
  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    { stages = [] }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    const place = { graph, description: this.description, file: this.#files(graph).model };
    return runSession(this.#runtime, await this.#session(graph, stages), inputs, place);
  }

  async dispose(): Promise<void> {
    for (const { opened } of this.#open.values()) await opened.session.release();
    this.#open.clear();
  }

  #files(graph: string): PreparedGraph {
    const files = (this.#options.prepared as Readonly<Record<string, PreparedGraph>>)[graph];
    if (!files) throw new BackendError('bundle-missing', `the bundle has no graph "${graph}"`);
    return files;
  }

  #model(graph: string): Promise<DecodedModel> {
    const known = this.#models.get(graph) ?? this.#fetched(this.#files(graph).model);
    this.#models.set(graph, known);
    return known;
  }

  async #fetched(model: string): Promise<DecodedModel> {
    return decodeModel(await bytesOf(`${this.#options.bundle}${model}`), model);
  }

  /** That of a graph with these stages; the one with others before it is closed. */
  async #session(graph: string, stages: readonly string[]): Promise<OpenGraph> {
    const key = stages.toSorted().join('\n');
    const last = this.#open.get(graph);
    if (last?.stages === key) return last.opened;
    this.#open.delete(graph);
    await last?.opened.session.release();
    const { model, data } = this.#files(graph);
    const { bytes, outputs, tensors } = stageVariant(await this.#model(graph), model, stages);
    const folder = this.#options.bundle + model.slice(0, model.lastIndexOf('/') + 1);
    const session = await this.#runtime.InferenceSession.create(
      bytes ?? (await bytesOf(`${this.#options.bundle}${model}`)),
      {
        executionProviders: [this.#options.provider],
        logSeverityLevel: LOG_SEVERITY,
        externalData: data.map((path) => ({ path, data: `${folder}${path}` })),
      },
    ).catch((cause: unknown) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      const hint = 'check the bundle with `pgconv inspect`; where memory ran out, convert to a smaller dtype';
      throw new BackendError(
        'runtime-failed',
        `${this.description} cannot load the model: ${message}`,
        { file: model, hint },
        { cause },
      );
    });
    const opened = { session, outputs, stages: tensors };
    this.#open.set(graph, { stages: key, opened });
    return opened;
  }
}

async function bytesOf(address: string): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) throw new BackendError('bundle-missing', `the page is not given ${address} (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}
