import { printType } from '../../ir/type.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import type { OpName } from '../../ir/ops/index.ts';
import {
  decompose,
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  runPasses,
  type PassListener,
} from '../../ir/passes/index.ts';
import { BackendError } from '../error.ts';
import { nativeComposites, type Rule } from '../lowering.ts';
import { LoweringContext } from './lower/context.ts';
import type { lowering } from './lower/index.ts';
import type { OnnxGraph } from './lower/model.ts';
import { quantizedRules, type QuantizedOptions } from './lower/quantized.ts';
import type { OnnxOptions, Target } from './target.ts';
import { supportsDtype, targets } from './targets.ts';

export interface LowerOptions extends Omit<QuantizedOptions, 'halves'>, Pick<OnnxOptions, 'target'> {
  /** What a prefill must hold; default nothing that is large. */
  readonly imageTokens?: number;
}

/**
 * One graph as ONNX nodes and initializers; no weight is read.
 * @throws BackendError naming what the target cannot do.
 */
export function lowerGraph(
  graph: Graph,
  { target = 'portable', imageTokens = 0, ...options }: LowerOptions = {},
  onPass?: PassListener,
): OnnxGraph {
  const traits = targets[target];
  const passes = [
    ...traits.passes({ imageTokens }),
    decompose(nativeComposites(traits.lowering)),
    eliminateCommonSubexpressions,
    eliminateDeadCode,
  ];
  const prepared = runPasses(graph, passes, onPass);
  checkDTypes(prepared, target);
  const context = new LoweringContext(prepared);
  const rules = { ...traits.lowering, ...quantizedRules({ halves: traits.halves, ...options }) };
  for (const node of prepared.nodes) lowerNode(context, rules, node);
  return context.finish();
}

function lowerNode(context: LoweringContext, rules: typeof lowering, node: Node): void {
  // the union of rules takes the intersection of nodes
  const rule = rules[node.op] as Rule<LoweringContext, OpName> | undefined;
  if (!rule) throw new BackendError('unsupported', `${node.op} was not decomposed`, { tensor: node.outputs[0]!.name });
  rule(context, node);
}

function checkDTypes(graph: Graph, target: Target): void {
  const values = [
    ...graph.inputs,
    ...graph.constants.map((c) => c.value),
    ...graph.nodes.flatMap((node) => node.outputs),
  ];
  for (const { name, type } of values) {
    const supported = supportsDtype(target, type.dtype);
    if (supported !== true)
      throw new BackendError('unsupported', `graph ${graph.name}, ${printType(type)}: ${supported}`, {
        tensor: name,
        hint: 'convert to fp16 or fp32, or choose another target',
      });
  }
}
