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
   * Outputs of parts, and stages, by name; yields between parts, where other work may be done. `inputs` stay the
   * caller's, and what is returned becomes it; what only crosses from part to part is disposed after its last use,
   * everything after an error or where it is ended. @throws RuntimeError `bad_input` for an input that is missing; what
   * tfjs throws
   */
  *run(inputs: NamedTensorMap, wanted: readonly string[]): Generator<void, Record<string, Tensor>> {
    const known = new Map<string, Tensor>(Object.entries(inputs));
    const given = new Set(known.values());
    /** Tensors of this run; one may have several names: that of a stage, and its own. */
    const made = new Set<Tensor>();
    let isDone = false;
    try {
      for (const [i, { files }] of this.#parts.entries()) {
        if (i > 0) yield;
        const part = this.plan.parts[i]!;
        const needed = new Set([...wanted, ...this.plan.parts.slice(i + 1).flatMap((later) => later.inputs)]);
        const names = [...new Set([...part.outputs, ...Object.keys(files.stages)])].filter((name) => needed.has(name));
        const feed = Object.fromEntries(part.inputs.map((name) => [name, this.#given(known, name)]));
        for (const [name, tensor] of Object.entries(this.#parts[i]!.run(feed, names))) {
          known.set(name, tensor);
          if (!given.has(tensor)) made.add(tensor);
        }
        const kept = new Set([...known].flatMap(([name, tensor]) => (needed.has(name) ? [tensor] : [])));
        for (const tensor of made)
          if (!kept.has(tensor)) {
            tensor.dispose();
            made.delete(tensor);
          }
      }
      // what is given back is the caller's to dispose, under every name
      const own = new Set<Tensor>();
      const results = Object.fromEntries(
        wanted.map((name) => {
          const tensor = this.#given(known, name);
          const fresh = given.has(tensor) || own.has(tensor) ? tensor.clone() : tensor;
          own.add(fresh);
          return [name, fresh];
        }),
      );
      isDone = true;
      return results;
    } finally {
      if (!isDone) for (const tensor of made) tensor.dispose();
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
