import { RuntimeError } from '../../client/errors.ts';
import { damaged, type PartFiles, type TfjsBundle } from './bundle.ts';
import { moveToDevice } from './move_to_device.ts';
import type { GraphModel, NamedTensorMap, Tensor, Tfjs } from './tfjs.ts';
import { weightChunks } from './weight_stream.ts';

export interface PartLoading {
  readonly signal?: AbortSignal | undefined;
  /** Hears of bytes that came. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** A graph model that tfjs has loaded. */
export class PartModel {
  readonly files: PartFiles;
  readonly #model: GraphModel;

  private constructor(files: PartFiles, model: GraphModel) {
    this.files = files;
    this.#model = model;
  }

  /**
   * By tfjs's own loader, which forgets the tensors it has made when a weight does not come: after a failure it gets
   * zeros for the rest of the part, and the whole model is disposed. @throws RuntimeError, `refused` for a graph that
   * tfjs cannot read; the signal's reason. Nothing stays then.
   */
  static async load(tf: Tfjs, { source }: TfjsBundle, files: PartFiles, loading: PartLoading = {}): Promise<PartModel> {
    loading.signal?.throwIfAborted();
    const { weightsManifest: _, ...artifacts } = files.json;
    const chunks = weightChunks(source, files.weights, loading);
    const failure: { error?: unknown } = {};
    const next = async (byteLength: number): Promise<Uint8Array> => {
      if (!('error' in failure))
        try {
          const { done, value } = await chunks.next();
          if (!done) return value;
          failure.error = damaged(source, `${files.folder} has fewer weights than its graph`);
        } catch (error) {
          failure.error = error;
        }
      return new Uint8Array(byteLength);
    };
    let at = 0;
    const getWeightStream = () =>
      new ReadableStream<Uint8Array>(
        {
          pull: async (controller) =>
            at < files.weights.length
              ? controller.enqueue(await next(files.weights[at++]!.byteLength))
              : controller.close(),
        },
        { highWaterMark: 0 },
      );
    const handler = {
      load: async () => ({ ...artifacts, weightSpecs: files.weights.map(({ spec }) => spec), getWeightStream }),
    };
    const model = await tf
      .loadGraphModel(handler as unknown as Parameters<Tfjs['loadGraphModel']>[0])
      .catch((cause: unknown) => {
        loading.signal?.throwIfAborted();
        throw 'error' in failure ? (failure.error as Error) : refused('read', files, cause);
      });
    // a file that is longer says so behind its last weight
    if (!('error' in failure)) await chunks.next().catch((error: unknown) => (failure.error = error));
    if (!('error' in failure)) await moveToDevice(tf, model).catch((error: unknown) => (failure.error = error));
    if (!('error' in failure)) return new PartModel(files, model);
    model.dispose();
    loading.signal?.throwIfAborted();
    throw failure.error;
  }

  /**
   * Outputs and stages by the names of ports; the caller disposes them. Synchronous: no op needs executeAsync.
   * @throws RuntimeError `refused` with what tfjs says
   */
  run(inputs: NamedTensorMap, names: readonly string[]): Record<string, Tensor> {
    if (names.length === 0) return {};
    const nodes = names.map((name) => this.files.stages[name] ?? name);
    const made = this.#execute(inputs, nodes);
    const tensors = Array.isArray(made) ? made : [made];
    return Object.fromEntries(names.map((name, i) => [name, tensors[i]!]));
  }

  #execute(inputs: NamedTensorMap, nodes: string[]): Tensor | Tensor[] {
    try {
      return this.#model.execute(inputs, nodes);
    } catch (cause) {
      throw cause instanceof RuntimeError ? cause : refused('run', this.files, cause);
    }
  }

  /** A weight as tfjs holds it: of the model, not to be disposed. */
  weight(name: string): Tensor | undefined {
    return this.#model.weights[name]?.[0];
  }

  dispose(): void {
    this.#model.dispose();
  }
}

/** What tfjs says of a graph, which is damaged where nobody has checked it. */
function refused(what: 'read' | 'run', { folder }: PartFiles, cause: unknown): RuntimeError {
  return new RuntimeError(
    'refused',
    `tfjs cannot ${what} ${folder}/model.json: ${cause instanceof Error ? cause.message : String(cause)}`,
    'check the bundle with `pgconv verify`; if it is sound, report it',
    { cause },
  );
}
