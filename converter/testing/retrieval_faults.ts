import { sym } from '../../ir/dim.ts';
import type { Constant, Node, Value } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { elementCount, tensorData, tensorOf } from '../../ir/tensor.ts';
import { graphFault, weightFault, withoutNode, type Fault, type Rule } from './fault.ts';

const projects = (node: Node) => node.op === 'linear' && node.inputs[1]!.name.startsWith('embedding_proj');
/** The division by the length: the only RMSNorm without an epsilon. */
const normalizes = (made: Node | Constant | undefined) =>
  made !== undefined && 'op' in made && made.op === 'rms_norm' && made.attrs.epsilon === 0;

const headFault = (name: string, shows: Fault['shows'], makeRule: () => Rule) =>
  graphFault(name, shows, 'decoder', makeRule);

/**
 * Mistakes that are easy to make with ColPali's head and leave every shape right (arXiv:2407.01449; transformers,
 * modeling_colpali.py).
 */
export const RETRIEVAL_FAULTS: readonly Fault[] = [
  weightFault('projection without its bias', 'prefill embeddings', (weights) => {
    const { shape } = weights.get('embedding_proj.b')!;
    weights.set('embedding_proj.b', tensorData(tensorOf('f32', shape, Array<number>(elementCount(shape)).fill(0))));
  }),
  headFault(
    'vectors are not normalised',
    'prefill embeddings',
    () => (node, context) => (normalizes(node) ? withoutNode(node, context) : undefined),
  ),
  headFault(
    'vectors have the length √E of an RMSNorm',
    'prefill embeddings',
    () =>
      (node, { builder: b, inputs }) =>
        normalizes(node)
          ? [
              b.op(
                ops.mul,
                [
                  b.op(ops.rms_norm, [...inputs], { epsilon: 0 }),
                  b.literal('f32', [], [Math.sqrt(node.outputs[0]!.type.shape.at(-1) as number)]),
                ],
                {},
              ),
            ]
          : undefined,
  ),
  headFault('hidden states are projected before the last norm', 'prefill embeddings', () => {
    let unnormed: Value | undefined;
    return (node, { builder: b, inputs }) => {
      if (node.op === 'rms_norm' && !normalizes(node)) unnormed = inputs[0];
      return projects(node) ? [b.op(ops.linear, [unnormed!, inputs[1]!, inputs[2]!], {})] : undefined;
    };
  }),
];

/**
 * Show only where there is padding: the first in a prompt, the second in what continues one, since its mask begins
 * elsewhere.
 */
export const PADDING_FAULTS: readonly Fault[] = [
  headFault(
    'vectors of padding stay',
    'prefill embeddings',
    () => (node, context) =>
      node.op === 'mul' && normalizes(context.definitionOf(context.inputs[0]!))
        ? withoutNode(node, context)
        : undefined,
  ),
  headFault(
    'new tokens are masked as the first ones',
    'suffix embeddings',
    () =>
      (node, { builder: b, inputs }) =>
        node.op === 'gather' && node.inputs[0]!.type.dtype === 'i64'
          ? [b.op(ops.gather, [inputs[0]!, b.op(ops.iota, [], { length: sym('seq') })], {})]
          : undefined,
  ),
];
