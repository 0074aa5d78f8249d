import { evaluateGraph } from '../../ir/evaluate.ts';
import type { Graph } from '../../ir/graph.ts';
import type { PassRun, Values } from '../../ir/passes/index.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import type { Call } from './recorded_calls.ts';

/** Calls of a graph as the graph behind a pass takes them: in its dtypes, without those of sizes that it has not. */
export async function callsBehind(
  { pass, before, after }: Pick<PassRun, 'pass' | 'before' | 'after'>,
  calls: readonly Call[],
): Promise<readonly Call[]> {
  const behind: Call[] = [];
  for (const call of calls) {
    const valueOf = (name: string) => evaluated(before, call.inputs, name);
    const inputs = (await pass.inputsBehind?.(after, call.inputs, valueOf)) ?? call.inputs;
    if (fits(after, inputs)) behind.push({ ...call, inputs: narrowed(after, inputs) });
  }
  return behind;
}

/** One value of a graph, by its name. */
async function evaluated(graph: Graph, inputs: Values, name: string): Promise<Tensor> {
  const value = graph.nodes.flatMap((node) => node.outputs).find((output) => output.name === name);
  if (!value) throw new Error(`graph ${graph.name} computes no ${name}`);
  const port = { name, value };
  return (await evaluateGraph({ ...graph, outputs: [port], stages: [] }, inputs))[name]!;
}

/** Whether sizes that are known in the graph's types are those of the inputs. */
function fits(graph: Graph, inputs: Values): boolean {
  return graph.inputs.every(({ name, type }) =>
    type.shape.every((dim, axis) => typeof dim !== 'number' || dim === inputs[name]?.shape[axis]),
  );
}

function narrowed(graph: Graph, inputs: Values): Values {
  return Object.fromEntries(
    graph.inputs.flatMap(({ name, type: { dtype } }) => {
      const tensor = inputs[name];
      if (!tensor) return [];
      return [[name, tensor.dtype === dtype ? tensor : tensorOf(dtype, tensor.shape, tensor.data)] as const];
    }),
  );
}
