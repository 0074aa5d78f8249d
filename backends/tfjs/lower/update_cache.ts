import type { Dim } from '../../../ir/dim.ts';
import { mulDims } from '../../../ir/dim.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { INT32, typed } from './attrs.ts';
import type { LoweringContext } from './context.ts';
import type { Operand } from './operand.ts';
import { reshaped, transposed } from './shapes.ts';

/** New rows of a KV cache replace rows of all heads, as one scatter into [B · K · C, H]. */
export function lowerUpdateCache(context: LoweringContext, node: NodeOf<'update_cache'>): void {
  const [cache, x, past] = node.inputs as readonly [Value, Value, Value];
  const [result] = node.outputs as readonly [Value];
  const [, heads, , size] = cache.type.shape as readonly [Dim, number, Dim, number];
  const rows = (operand: Operand, name: string) => reshaped(context, operand, context.ints(-1, size), 2, name);
  const added = rows(
    transposed(context, context.tensor(x), [0, 2, 1, 3], `${result.name}.heads_first`),
    `${result.name}.added`,
  );
  const at = context.shared(`rows of caches ${heads} from ${past.name}`, () => rowNumbers(context, cache, x, past));
  const updated = context.step(
    'TensorScatterUpdate',
    [rows(context.tensor(cache), `${result.name}.before`), at, added],
    `${result.name}.after`,
    { dtype: 'float32', rank: 2 },
    { T: { type: 'float32' }, Tindices: INT32 },
  );
  context.emit('Reshape', [updated, context.sizes.shape([...cache.type.shape], { mayInfer: true })], result, {
    ...typed(updated),
    Tshape: INT32,
  });
}

/** int32 [B · K · S, 1]: (b · K + k) · C + past + s. The same for every layer. */
function rowNumbers(context: LoweringContext, cache: Value, x: Value, past: Value): Operand {
  const [batch, heads, capacity] = cache.type.shape as readonly [Dim, number, Dim];
  const vector = { dtype: 'int32', rank: 1 } as const;
  const scalar = { dtype: 'int32', rank: 0 } as const;
  const slots = context.sizes.scalar(capacity);
  const total = context.step(
    'Mul',
    [context.sizes.scalar(mulDims(batch, heads)!), slots],
    'cache.rows',
    scalar,
    typed(slots),
  );
  const starts = context.step('Range', [context.int(0), total, slots], 'cache.starts', vector, { Tidx: INT32 });
  const news = context.step(
    'Range',
    [context.int(0), context.sizes.scalar(x.type.shape[1]!), context.int(1)],
    'cache.new',
    vector,
    { Tidx: INT32 },
  );
  const behind = context.step('AddV2', [news, context.tensor(past)], 'cache.behind', vector, typed(news));
  const column = context.step(
    'ExpandDims',
    [starts, context.int(1)],
    'cache.starts.column',
    { dtype: 'int32', rank: 2 },
    { ...typed(starts), Tdim: INT32 },
  );
  const all = context.step('AddV2', [column, behind], 'cache.row_numbers', { dtype: 'int32', rank: 2 }, typed(column));
  return reshaped(context, all, context.ints(-1, 1), 2, 'cache.row_numbers.column');
}
