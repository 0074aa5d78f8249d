import type { Graph, Value } from '../../../ir/graph.ts';
import { BackendError } from '../../error.ts';

/**
 * Tensor names of one graph. A value keeps its IR name, an output takes its port's; whatever collides gets a number.
 * Names are unique over all tensors of the graph, as ONNX demands (single assignment).
 */
export class TensorNames {
  readonly #used = new Set<string>();
  readonly #names = new Map<Value, string>();

  constructor(graph: Graph) {
    for (const input of graph.inputs) this.#claim(graph.name, input.name, input);
    const produced = new Set(graph.nodes.flatMap((node) => node.outputs));
    for (const { name, value } of graph.outputs)
      this.#claim(graph.name, name, produced.has(value) && !this.#names.has(value) ? value : undefined);
  }

  /** The name of a value; the same each time. */
  of(value: Value): string {
    const known = this.#names.get(value) ?? this.fresh(value.name);
    this.#names.set(value, known);
    return known;
  }

  /** A new name that reads like `hint`. */
  fresh(hint: string): string {
    let name = hint;
    for (let i = 1; this.#used.has(name); i++) name = `${hint}_${i}`;
    this.#used.add(name);
    return name;
  }

  #claim(graph: string, name: string, value: Value | undefined): void {
    if (this.#used.has(name))
      throw new BackendError('unsupported', `graph ${graph} has two ports called "${name}"`, {
        tensor: name,
        hint: 'give inputs and outputs different names',
      });
    this.#used.add(name);
    if (value) this.#names.set(value, name);
  }
}
