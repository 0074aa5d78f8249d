import { RuntimeError } from '../../client/errors.ts';
import type { GraphPlan } from '../plan.ts';
import type { PartModel } from './part_model.ts';
import type { NamedTensorMap, Tensor } from './tfjs.ts';

/** A graph whose parts run one after the other. */
export class PartedGraph {
  readonly plan: GraphPlan;
  readonly #parts: readonly PartModel[];

  constructor(plan: GraphPlan, parts: readonly PartModel[]) {
    this.plan = plan;
    this.#parts = parts;
  }

  /**
   * Outputs of parts, and stages, by name. `inputs` stay the caller's, and what is returned becomes it; what only crosses from part to
   * part is disposed after its last use, everything after an error. @throws RuntimeError `bad_input` for an input that is missing; what tfjs throws
   */
  run(inputs: NamedTensorMap, wanted: readonly string[]): Record<string, Tensor> {
    const known = new Map<string, Tensor>(Object.entries(inputs));
    const made = new Set<string>();
    const results = new Set(wanted);
    try {
      for (const [i, { files }] of this.#parts.entries()) {
        const part = this.plan.parts[i]!;
        const needed = this.plan.parts.slice(i + 1).flatMap((later) => later.inputs);
        const names = [...part.outputs, ...Object.keys(files.stages)].filter((name) => results.has(name) || needed.includes(name));
        const feed = Object.fromEntries(part.inputs.map((name) => [name, this.#given(known, name)]));
        for (const [name, tensor] of Object.entries(this.#parts[i]!.run(feed, [...new Set(names)]))) {
          known.set(name, tensor);
          made.add(name);
        }
        for (const name of made)
          if (!results.has(name) && !needed.includes(name)) {
            known.get(name)!.dispose();
            made.delete(name);
          }
      }
      return Object.fromEntries(wanted.map((name) => [name, this.#given(known, name)]));
    } catch (error) {
      for (const name of made) known.get(name)!.dispose();
      throw error;
    }
  }

  hasStage(name: string): boolean {
    return this.#parts.some(({ files }) => name in files.stages);
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
  }

  #given(known: ReadonlyMap<string, Tensor>, name: string): Tensor {
    const tensor = known.get(name);
    if (!tensor) throw new RuntimeError('bad_input', `graph ${this.plan.name} needs "${name}"`);
    return tensor;
  }
}
