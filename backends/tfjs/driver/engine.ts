import type { Tfjs } from './tfjs.ts';
import { TableRows } from './table_rows.ts';
import { readBundle, type TfjsBundle } from './bundle.ts';
import { PartedGraph } from './parted_graph.ts';
import { PartModel } from './part_model.ts';
import type { BundleSource } from '../../client/sources/source.ts';
import { registerPackedOp } from '../packed/register.ts';
import type { TablePlan } from '../plan.ts';

export interface EngineOptions {
  readonly signal?: AbortSignal | undefined;
  /** Hears of weights: bytes of all. */
  readonly onProgress?: ((progress: { readonly loaded: number; readonly total: number }) => void) | undefined;
}

/** All graphs of a bundle in tfjs, and its tables. */
export class Engine {
  readonly tf: Tfjs;
  readonly bundle: TfjsBundle;
  readonly #graphs: ReadonlyMap<string, PartedGraph>;
  readonly #tables: ReadonlyMap<TablePlan, TableRows>;

  private constructor(tf: Tfjs, bundle: TfjsBundle, graphs: ReadonlyMap<string, PartedGraph>) {
    this.tf = tf;
    this.bundle = bundle;
    this.#graphs = graphs;
    this.#tables = new Map(bundle.plan.graphs.flatMap(({ tables }) => tables.map((table) => [table, new TableRows(bundle, table)] as const)));
  }

  /** Part by part. @throws RuntimeError; the signal's reason. Nothing stays in tfjs then. */
  static async load(tf: Tfjs, source: BundleSource, { signal, onProgress }: EngineOptions = {}): Promise<Engine> {
    const bundle = await readBundle(source, signal);
    if (bundle.plan.profile === 'packed') registerPackedOp(tf);
    const total = [...bundle.parts.values()].flatMap(({ weights }) => weights).reduce((sum, { byteLength }) => sum + byteLength, 0);
    let loaded = 0;
    const loading = { signal, onBytes: (bytes: number) => onProgress?.({ loaded: (loaded += bytes), total }) };
    const models: PartModel[] = [];
    try {
      const graphs = new Map<string, PartedGraph>();
      for (const graph of bundle.plan.graphs) {
        const parts: PartModel[] = [];
        for (const { folder } of graph.parts) {
          const model = await PartModel.load(tf, bundle, bundle.parts.get(folder)!, loading);
          models.push(model);
          parts.push(model);
        }
        graphs.set(graph.name, new PartedGraph(graph, parts));
      }
      return new Engine(tf, bundle, graphs);
    } catch (error) {
      for (const model of models) model.dispose();
      throw error;
    }
  }

  /** Undefined when there is none of this name. */
  graph(name: string): PartedGraph | undefined {
    return this.#graphs.get(name);
  }

  table(plan: TablePlan): TableRows {
    return this.#tables.get(plan)!;
  }

  dispose(): void {
    for (const graph of this.#graphs.values()) graph.dispose();
  }
}
