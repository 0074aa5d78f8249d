import type { DType } from '../../ir/dtypes/index.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Runner, RunOptions } from '../backend.ts';
import { asBackendError } from '../as_backend_error.ts';
import type { DeviceFacts } from '../device_facts.ts';
import { bindSizes } from './bind_sizes.ts';
import { checkInputs, elementsOf, inputDtypesOf, phaseFor, phasesOf, tensorRead } from './graph_ports.ts';
import type { Executor } from './runtime/executor.ts';

/**
 * Graphs of a bundle on a device, with all that goes in and out on the host: for verification, which is not in a hurry.
 */
export class WgslRunner implements Runner {
  readonly description: string;
  readonly device?: DeviceFacts;
  readonly #executor: Executor;
  readonly #close: () => void;
  /** Runs are one after the other: they share memory. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param close gives back the executor and what belongs to it */
  constructor(executor: Executor, description: string, close: () => void, device?: DeviceFacts) {
    this.#executor = executor;
    this.description = description;
    if (device) this.device = device;
    this.#close = close;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    return inputDtypesOf(this.#executor.plan, graph);
  }

  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    { stages = [] }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    const run = this.#last.then(() => this.#run(graph, inputs, stages));
    this.#last = run.catch(() => undefined);
    return run.catch((error: unknown) => {
      throw asBackendError(error);
    });
  }

  async dispose(): Promise<void> {
    await this.#last;
    this.#close();
  }

  async #run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    stages: readonly string[],
  ): Promise<Readonly<Record<string, Tensor>>> {
    const { plan } = this.#executor;
    const [general] = phasesOf(plan, graph);
    checkInputs(graph, general, inputs);
    const sizes = bindSizes(plan, general, inputs, (input) => Number(inputs[input]!.data[0]));
    const phase = phaseFor(plan, graph, sizes);
    this.#executor.setSizes(sizes);
    for (const value of phase.inputs) this.#executor.write(value.name, elementsOf(value, inputs[value.name]!));
    const found = await this.#executor.run(phase.name, {
      stages: stages.filter((stage) => phase.stages.some(({ name }) => name === stage)),
    });
    const results: Record<string, Tensor> = {};
    for (const [name, read] of found) results[name] = tensorRead(read);
    for (const output of phase.outputs) results[output.name] = tensorRead(await this.#executor.read(output));
    return results;
  }
}
