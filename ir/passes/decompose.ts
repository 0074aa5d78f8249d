import type { Emitter } from '../op.ts';
import { ops, type CompositeName } from '../ops/index.ts';
import type { Composite } from '../op.ts';
import { rewriteGraph } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/** Replaces every composite that is not in `native` by what it is made of, down to primitives and native composites. */
export function decompose(native: ReadonlySet<CompositeName>): Pass {
  return {
    name: 'decompose',
    doc: 'Composites that the backend does not lower itself become what they are made of.',
    run(graph) {
      return rewriteGraph(graph, (node, { inputs, builder }) => {
        if (ops[node.op].kind === 'primitive' || native.has(node.op as CompositeName)) return undefined;
        const nested: Emitter = {
          literal: (dtype, shape, values) => builder.literal(dtype, shape, values),
          op(op, operands, attrs) {
            if (op.kind === 'primitive' || native.has(op.name as CompositeName)) return builder.op(op, operands, attrs);
            return op.decompose(nested, operands, attrs)[0]!;
          },
        };
        const composite = ops[node.op] as unknown as Composite;
        return composite.decompose(nested, inputs, node.attrs);
      });
    },
  };
}
