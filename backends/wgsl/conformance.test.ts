import { describe, expect } from 'vitest';
import type { DType } from '../../ir/dtypes/index.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { OpName } from '../../ir/ops/index.ts';
import { expectClose, type Tolerance } from '../testing/compare.ts';
import { opCases, opGraph, opInputs, type OpCase } from '../testing/op_cases.ts';
import { programOf } from '../testing/tiny_program.ts';
import { itOnGpu } from './testing/gpu.ts';
import { memoryRunner } from './testing/memory_runner.ts';

/** Moves, comparisons and casts. */
const EXACT: Tolerance = { absolute: 0, relative: 0 };
/** GPUs divide and take roots to a few units in the last place (WGSL 1.0, 15.7.4), and contract a·b + c. */
const CLOSE: Tolerance = { absolute: 5e-6, relative: 5e-6 };
const exact: ReadonlySet<OpName> = new Set<OpName>([
  'and', 'append_cache', 'cast', 'concat', 'dim_value', 'equal', 'expand', 'gather', 'iota', 'less_equal', 'not', 'or', 'reshape', 'slice', 'take_last', 'transpose', 'where',
]);
/** Activations are f32; what the device has in 32 bits comes back as i64. */
const DTYPES: ReadonlySet<DType> = new Set<DType>(['f32', 'i64', 'bool']);

/** Why a case is none for this backend. */
function unsupported(name: OpName, { attrs, operands }: OpCase): string | undefined {
  if (name === 'cast' && (attrs!['to'] === 'f16' || attrs!['to'] === 'i32')) return 'activations are f32, and indices come back as i64';
  if (name === 'take_last' && typeof operands[1] !== 'string') return 'the count is an input: it is a size';
  return undefined;
}

const cases = (Object.entries(opCases) as [OpName, readonly OpCase[]][]).flatMap(([name, all]) => all.filter((opCase) => !unsupported(name, opCase)).map((opCase) => ({ name, opCase })));

describe('each op equals the evaluator', () => {
  for (const { name, opCase } of cases)
    for (const dtype of (opCase.dtypes ?? (['f32'] as const)).filter((d) => DTYPES.has(d)))
      itOnGpu(`${name}: ${opCase.title}, ${dtype}`, async () => {
        const graph = opGraph(name, opCase, dtype);
        const program = programOf(graph);
        const [runner, reference] = [await memoryRunner(program), evaluatorRunner(program)];
        for (const [seed, sizes] of opCase.sizes.entries()) {
          const inputs = opInputs(graph, sizes, 100 * seed);
          const [actual, expected] = [await runner.run(name, inputs), await reference.run(name, inputs)];
          for (const [port, tensor] of Object.entries(expected)) expectClose(`${name} ${dtype} ${JSON.stringify(sizes)} ${port}`, actual[port], tensor, exact.has(name) ? EXACT : CLOSE);
        }
        await runner.dispose();
      });

  itOnGpu('or is one that this backend says it has not', async () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBeGreaterThan(35);
  });
});
