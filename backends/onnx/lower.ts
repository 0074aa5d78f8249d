import { printType } from '../../ir/type.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import type { OpName } from '../../ir/ops/index.ts';
import { decompose, eliminateCommonSubexpressions, eliminateDeadCode, runPasses } from '../../ir/passes/index.ts';
import { BackendError } from '../error.ts';
import { nativeComposites, type Rule } from '../lowering.ts';
import { supportedDTypes } from './dtype.ts';
import { LoweringContext } from './lower/context.ts';
import { lowering } from './lower/index.ts';
import type { OnnxGraph } from './lower/model.ts';
import { quantizedRules, type QuantizedOptions } from './lower/quantized.ts';

/** Composites that have a rule. */
export const native = nativeComposites(lowering);

/** One graph as ONNX nodes and initializers; no weight is read. @throws BackendError naming what ONNX Runtime cannot do. */
export function lowerGraph(graph: Graph, options: QuantizedOptions = {}): OnnxGraph {
  const prepared = runPasses(graph, [decompose(native), eliminateCommonSubexpressions, eliminateDeadCode]);
  checkDTypes(prepared);
  const context = new LoweringContext(prepared);
  const rules = { ...lowering, ...quantizedRules(options) };
  for (const node of prepared.nodes) lowerNode(context, rules, node);
  return context.finish();
}

function lowerNode(context: LoweringContext, rules: typeof lowering, node: Node): void {
  const rule = rules[node.op] as Rule<LoweringContext, OpName> | undefined; // the union of rules takes the intersection of nodes
  if (!rule) throw new BackendError('unsupported', `${node.op} was not decomposed`, { tensor: node.outputs[0]!.name });
  rule(context, node);
}

function checkDTypes(graph: Graph): void {
  const values = [...graph.inputs, ...graph.constants.map((c) => c.value), ...graph.nodes.flatMap((node) => node.outputs)];
  const bad = values.find((value) => !supportedDTypes.has(value.type.dtype));
  if (bad)
    throw new BackendError('unsupported', `graph ${graph.name}: ONNX Runtime computes no ${printType(bad.type)}`, { tensor: bad.name, hint: 'convert to fp16 or fp32' });
}
