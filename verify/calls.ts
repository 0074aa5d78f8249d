import type { Runner } from '../backends/backend.ts';
import type { Earlier } from '../ir/graph_run.ts';
import type { Tensor } from '../ir/tensor.ts';
import { VerifyError } from './error.ts';
import { distinctRuns } from './repeated_runs.ts';

type Results = Readonly<Record<string, Tensor>>;

/** What a planned run will give. */
export interface Later {
  readonly call: Call;
  readonly output: string;
}

/** An input of a run: a tensor, or what another will give. */
export type Input = Tensor | Later;

/** A run of a graph that is planned, or done. */
export interface Call {
  readonly results: Promise<Results>;
}

/** What is heard of all that is computed. */
export interface CallsOptions {
  /** Hears of the graph at work, and of done and all units of it. */
  readonly onProgress?: (graph: string, done: number, total: number) => void;
  /** Stops between two units of work: the reason is thrown to whoever waits. */
  readonly signal?: AbortSignal;
}

export interface PlanOptions {
  /**
   * Names of outputs that are waited for; default all. Runs that are planned beside it may take the others, later ones
   * may not.
   */
  readonly outputs?: readonly string[];
  /** Names of stages to return beside the outputs. */
  readonly stages?: readonly string[];
  /**
   * Stages as another computed them: what runs in parts computes each part on them as well, who has no names for stages
   * looks for them.
   */
  readonly given?: Results;
  /** Hears what a part made of them, by name. */
  readonly onGiven?: (name: string, value: Tensor) => void;
}

interface Planned extends Call {
  readonly graph: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly options: PlanOptions;
  readonly settle: { resolve(results: Results): void; reject(reason: unknown): void };
}

/** Graphs in the order in which they feed each other. */
const ORDER = ['vision_encoder', 'embed_tokens', 'decoder', 'mask_decoder'];

/**
 * Runs of a runner's graphs as they are planned by tasks that go on side by side. Nothing is computed until every task
 * waits for something; then all that is planned of the first graph is, at once where the runner can (`runTogether`):
 * each weight of a large model is then read once for all that is asked, and what two ask alike is computed once. So a
 * task plans as much as it can before it waits.
 */
export class Calls {
  readonly #runner: Runner;
  readonly #planned: Planned[] = [];
  #working = false;
  #options: CallsOptions = {};

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  /** Who hears of what is computed from now on. */
  listen(options: CallsOptions): void {
    this.#options = options;
  }

  /** Plans a run. Its inputs may be what runs of the same graph give that were planned before. */
  plan(graph: string, inputs: Readonly<Record<string, Input>>, options: PlanOptions = {}): Call {
    let settle: Planned['settle'] | undefined;
    const results = new Promise<Results>((resolve, reject) => (settle = { resolve, reject }));
    // whoever waits hears of it; a plan that nobody waits for any more is no failure of its own
    results.catch(() => {});
    const call: Planned = { graph, inputs, options, results, settle: settle! };
    this.#planned.push(call);
    if (!this.#working) {
      this.#working = true;
      setImmediate(() => void this.#work());
    }
    return call;
  }

  async #work(): Promise<void> {
    while (this.#planned.length > 0) {
      const graph = this.#first();
      const batch = this.#planned.filter((call) => call.graph === graph);
      for (const call of batch) this.#planned.splice(this.#planned.indexOf(call), 1);
      if (this.#runner.runTogether) await this.#together(graph, batch);
      else for (const call of batch) await this.#alone(call);
      // those who waited plan on, before the next graph is chosen
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#working = false;
  }

  #first(): string {
    const rank = (graph: string) => (ORDER.includes(graph) ? ORDER.indexOf(graph) : ORDER.length);
    return this.#planned.map(({ graph }) => graph).toSorted((a, b) => rank(a) - rank(b))[0]!;
  }

  async #alone({ graph, inputs, options: { stages = [], given: like }, settle }: Planned): Promise<void> {
    try {
      const given: Record<string, Tensor> = {};
      this.#options.signal?.throwIfAborted();
      for (const [name, input] of Object.entries(inputs)) given[name] = await tensorOf(input);
      settle.resolve(await this.#runner.run(graph, given, { stages, ...(like && { like }) }));
    } catch (error) {
      settle.reject(error);
    }
  }

  async #together(graph: string, batch: readonly Planned[]): Promise<void> {
    try {
      const runs = await Promise.all(
        batch.map(async ({ inputs, options: { outputs, stages = [], given: values } }) => {
          const given: Record<string, Tensor | Earlier> = {};
          for (const [name, input] of Object.entries(inputs)) {
            const run = 'call' in input ? batch.indexOf(input.call as Planned) : -1;
            given[name] = run >= 0 ? { run, output: (input as Later).output } : await tensorOf(input);
          }
          return { inputs: given, stages, ...(outputs && { outputs }), ...(values && { given: values }) };
        }),
      );
      const { onProgress, signal } = this.#options;
      const { distinct, places } = distinctRuns(runs);
      const results = await this.#runner.runTogether!(graph, distinct, {
        ...(onProgress && { onProgress: (done: number, total: number) => onProgress(graph, done, total) }),
        ...(signal && { signal }),
        onGiven: (run, name, value) => batch[places.indexOf(run)]!.options.onGiven?.(name, value),
      });
      batch.forEach(({ settle }, i) => settle.resolve(results[places[i]!]!));
    } catch (error) {
      for (const { settle } of batch) settle.reject(error);
    }
  }
}

async function tensorOf(input: Input): Promise<Tensor> {
  if (!('call' in input)) return input;
  const tensor = (await input.call.results)[input.output];
  if (!tensor)
    throw new VerifyError(
      'bad_output',
      `an earlier run gave no "${input.output}"`,
      'convert again: the bundle lacks it',
    );
  return tensor;
}

const callsByRunner = new WeakMap<Runner, Calls>();

/** The calls of a runner: one for all who ask, so that what they plan is computed together. */
export function callsOf(runner: Runner): Calls {
  const calls = callsByRunner.get(runner) ?? new Calls(runner);
  callsByRunner.set(runner, calls);
  return calls;
}
