import type { NamedTensorMap, Tensor, Tfjs } from './tfjs.ts';
import { Breaths } from './breaths.ts';
import { TableRows } from './table_rows.ts';
import { readBundle, type TfjsBundle } from './bundle.ts';
import { PartedGraph } from './parted_graph.ts';
import { PartModel } from './part_model.ts';
import { RuntimeError } from '../../client/errors.ts';
import type { BundleSource } from '../../client/sources/source.ts';
import { withErrorScopes } from '../packed/error_scopes.ts';
import { registerPackedOp } from '../packed/register.ts';
import type { TablePlan } from '../plan.ts';

export interface EngineOptions {
  /** Ends loading: its reason is thrown, and nothing stays. */
  readonly signal?: AbortSignal | undefined;
  /** Hears of weights: bytes of all. */
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

/** Kernels that tfjs hands to the device at a time: its own 15 make many small submissions of a step. */
const KERNELS_A_SUBMIT = 256;

/** All graphs of a bundle in tfjs, and its tables. */
export class Engine {
  readonly tf: Tfjs;
  readonly bundle: TfjsBundle;
  readonly #graphs: ReadonlyMap<string, PartedGraph>;
  readonly #tables: ReadonlyMap<TablePlan, TableRows>;
  readonly #breaths: Breaths;
  #disposed = false;

  private constructor(
    tf: Tfjs,
    bundle: TfjsBundle,
    graphs: ReadonlyMap<string, PartedGraph>,
    tables: ReadonlyMap<TablePlan, TableRows>,
  ) {
    this.tf = tf;
    this.bundle = bundle;
    this.#graphs = graphs;
    this.#tables = tables;
    this.#breaths = new Breaths(tf);
  }

  /** Part by part. @throws RuntimeError; the signal's reason. Nothing stays in tfjs then. */
  static async load(tf: Tfjs, source: BundleSource, { signal, onProgress }: EngineOptions = {}): Promise<Engine> {
    const bundle = await readBundle(source, signal);
    const models = new Map<string, PartModel>();
    const tables = new Map(
      bundle.plan.graphs
        .flatMap((graph) => graph.tables)
        .map((table) => [table, new TableRows(tf, bundle, table, models)] as const),
    );
    if (bundle.plan.profile === 'packed') registerPackedOp(tf);
    if (tf.getBackend() === 'webgpu') tf.env().set('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE', KERNELS_A_SUBMIT);
    const total = [...bundle.parts.values()]
      .flatMap(({ weights }) => weights)
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
    let loaded = 0;
    const loading = { signal, onBytes: (bytes: number) => onProgress?.({ loaded: (loaded += bytes), total }) };
    try {
      for (const file of tableFiles(bundle)) await source.beforeRanges?.(file, signal);
      for (const [folder, files] of bundle.parts) models.set(folder, await PartModel.load(tf, bundle, files, loading));
    } catch (error) {
      for (const model of models.values()) model.dispose();
      throw error;
    }
    const graphs = bundle.plan.graphs.map(
      (graph) =>
        [
          graph.name,
          new PartedGraph(
            graph,
            graph.parts.map(({ folder }) => models.get(folder)!),
          ),
        ] as const,
    );
    return new Engine(tf, bundle, new Map(graphs), tables);
  }

  /** Undefined when there is none of this name. */
  graph(name: string): PartedGraph | undefined {
    return this.#graphs.get(name);
  }

  /** Rows of a table, see TableRows. @throws RuntimeError `disposed`; what TableRows throws */
  async rows(table: TablePlan, ids: ArrayLike<number>): Promise<Float32Array> {
    this.checkLives();
    return this.#tables.get(table)!.rows(ids);
  }

  /**
   * What a graph makes of inputs, see PartedGraph, when the device has taken it: nothing stays in tfjs after an error.
   * @throws RuntimeError `bad_shader`, `out_of_memory`, `disposed`; what PartedGraph throws
   */
  async run(graph: PartedGraph, inputs: NamedTensorMap, wanted: readonly string[]): Promise<Record<string, Tensor>> {
    let results: Record<string, Tensor> = {};
    try {
      this.checkLives();
      results = await this.#computed(graph.run(inputs, wanted));
      // it may have gone while the device answered
      this.checkLives();
      return results;
    } catch (error) {
      for (const tensor of Object.values(results)) tensor.dispose();
      throw error;
    }
  }

  /**
   * Part by part: with a breath between two where tfjs computes in this thread, else at once, since errors of a device
   * are those of one stretch of commands.
   */
  async #computed(parts: Generator<void, Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    if (!this.#breaths.isNeeded) return withErrorScopes(this.tf, () => drained(parts));
    try {
      for (;;) {
        await this.#breaths.take();
        // it may have gone meanwhile
        this.checkLives();
        const { value, done } = parts.next();
        if (done) return value;
      }
    } finally {
      parts.return({});
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const graph of this.#graphs.values()) graph.dispose();
  }

  /** @throws RuntimeError `disposed` */
  checkLives(): void {
    if (this.#disposed) throw new RuntimeError('disposed', 'the model was disposed');
  }
}

function drained<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { value, done } = steps.next();
    if (done) return value;
  }
}

/** Files of tables that no part holds: their rows are read when they are asked for. */
function tableFiles({ plan }: TfjsBundle): ReadonlySet<string> {
  const tables = plan.graphs.flatMap((graph) => graph.tables);
  return new Set(tables.flatMap(({ weights }) => weights.flatMap(({ paths }) => paths)));
}
