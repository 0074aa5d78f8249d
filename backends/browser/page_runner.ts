import type { DType } from '../../ir/dtypes/index.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Runner, RunOptions } from '../backend.ts';
import type { DeviceFacts } from '../device_facts.ts';
import type { Page } from './open_page.ts';

/** A bundle that is open in a page: every run is one there. */
export class PageRunner implements Runner {
  readonly description: string;
  readonly device: DeviceFacts;
  readonly #page: Page;

  constructor(page: Page, description: string, device: DeviceFacts) {
    this.#page = page;
    this.description = `${description} in ${device.host}`;
    this.device = device;
  }

  async inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>> {
    const { body } = await this.#page.call({ method: 'inputDtypes', graph });
    return (body as { readonly dtypes: Readonly<Record<string, DType>> }).dtypes;
  }

  async run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    { stages = [] }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    return (await this.#page.call({ method: 'run', graph, stages }, inputs)).tensors;
  }

  /** With the browser goes all that the page had. */
  dispose(): Promise<void> {
    return this.#page.close();
  }
}
