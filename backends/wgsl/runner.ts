import type { DType } from '../../ir/dtypes/index.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import type { Runner, RunOptions } from '../backend.ts';
import { BackendError } from '../error.ts';
import { asBackendError } from '../as_backend_error.ts';
import { bindSizes } from './bind_sizes.ts';
import type { ElementType, Phase, PlannedValue } from './bundle/plan.ts';
import type { Executor } from './runtime/executor.ts';
import type { Elements } from './runtime/layout.ts';

/** What the outside calls elements that the device has in 32 bits. */
const DTYPES: Readonly<Record<ElementType, DType>> = { f32: 'f32', i32: 'i64', bool: 'bool' };

/**
 * Graphs of a bundle on a device, with all that goes in and out on the host: for verification, which is not in a hurry.
 */
export class WgslRunner implements Runner {
  readonly description: string;
  readonly #executor: Executor;
  readonly #close: () => void;
  /** Runs are one after the other: they share memory. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param close gives back the executor and what belongs to it */
  constructor(executor: Executor, description: string, close: () => void) {
    this.#executor = executor;
    this.description = description;
    this.#close = close;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    return Object.fromEntries(this.#phases(graph)[0].inputs.map(({ name, type }) => [name, DTYPES[type]]));
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
    const phases = this.#phases(graph);
    for (const { name } of phases[0].inputs)
      if (!inputs[name])
        throw new BackendError('bad-input', `graph ${graph} needs the input "${name}"`, { tensor: name });
    const { plan } = this.#executor;
    const sizes = bindSizes(plan, phases[0], inputs, (input) => Number(inputs[input]!.data[0]));
    const phase = phases
      .toSorted((a, b) => b.fixed.length - a.fixed.length)
      .find((candidate) => fits(candidate, plan.symbols, sizes))!;
    this.#executor.setSizes(sizes);
    for (const value of phase.inputs) this.#executor.write(value.name, elementsOf(value, inputs[value.name]!));
    const found = await this.#executor.run(phase.name, {
      stages: stages.filter((stage) => phase.stages.some(({ name }) => name === stage)),
    });
    const results: Record<string, Tensor> = {};
    for (const [name, { type, shape, data }] of found) results[name] = tensorOf(DTYPES[type], shape, data);
    for (const output of phase.outputs) {
      const { type, shape, data } = await this.#executor.read(output);
      results[output.name] = tensorOf(DTYPES[type], shape, data);
    }
    return results;
  }

  /** That for all sizes first. */
  #phases(graph: string): readonly [Phase, ...Phase[]] {
    const [first, ...rest] = this.#executor.plan.phases.filter((phase) => phase.graph === graph);
    if (!first) throw new BackendError('bad-input', `the bundle has no graph "${graph}"`);
    return [first, ...rest];
  }
}

/** Whether a phase is for these sizes. One for a new token appends it to a cache. */
function fits({ fixed }: Phase, symbols: readonly string[], sizes: Readonly<Record<string, number>>): boolean {
  return (
    fixed.length === 0 || (sizes['past'] !== 0 && fixed.every(({ symbol, value }) => sizes[symbols[symbol]!] === value))
  );
}

/** @throws BackendError for numbers that 32 bits do not hold, and for another dtype */
function elementsOf({ name, type }: PlannedValue, { dtype, data }: Tensor): Elements {
  const isInteger = dtype === 'i64' || dtype === 'i32';
  if (type === 'f32' ? dtype !== 'f32' && dtype !== 'f16' : type === 'i32' ? !isInteger : dtype !== 'bool')
    throw new BackendError('bad-input', `input "${name}" is ${dtype}, not ${DTYPES[type]}`, { tensor: name });
  if (type === 'f32') return Float32Array.from(data);
  if (type === 'bool') return Uint32Array.from(data);
  const outside = data.find((x) => x < -(2 ** 31) || x >= 2 ** 31);
  if (outside !== undefined)
    throw new BackendError('bad-input', `input "${name}" holds ${outside}, which 32 bits do not`, { tensor: name });
  return Int32Array.from(data);
}
