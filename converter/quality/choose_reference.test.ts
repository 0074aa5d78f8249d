import { expect, test } from 'vitest';
import type { Program } from '../../ir/graph.ts';
import { testFields } from '../testing/bundle.ts';
import { evaluatorSeconds, planReference } from './choose_reference.ts';

/** A program of weights alone, as large as is said. */
function programOf(vision: number, decoder: number): Program {
  const graph = (name: string, size: number) => ({
    name,
    inputs: [],
    constants: [{ kind: 'weight', value: { name: 'w' }, data: { dtype: 'f32', shape: [size], byteLength: 4 * size } }],
    nodes: [],
    outputs: [],
    stages: [],
  });
  return {
    graphs: [graph('vision_encoder', vision), graph('decoder', decoder)],
    metadata: { ...testFields.program, imageTokens: 256 },
  } as unknown as Program;
}
const SMALL = programOf(3e5, 1e6);
const LARGE = programOf(4e8, 2.5e9);

test('a small model is evaluated; for a large one an fp32 bundle stands in, unchecked where one case takes hours', () => {
  expect(planReference(SMALL, { wanted: 'auto', cases: 200 })).toMatchObject({ kind: 'evaluator', checkedCases: 0 });
  expect(evaluatorSeconds(LARGE, false)).toBeGreaterThan(3600);
  expect(planReference(LARGE, { wanted: 'auto', cases: 1 })).toMatchObject({
    kind: 'bundle',
    checkedCases: 0,
    why: expect.stringContaining(' h') as string,
  });
  expect(planReference(LARGE, { wanted: 'auto', cases: 5, checkedCases: 9 })).toMatchObject({
    kind: 'bundle',
    checkedCases: 5,
  });
});

test('between them, a bundle is checked on as many cases as are affordable', () => {
  expect(planReference(programOf(3e7, 1e8), { wanted: 'auto', cases: 100 })).toMatchObject({
    kind: 'bundle',
    checkedCases: 3,
  });
});

test('what is asked for is done', () => {
  expect(planReference(LARGE, { wanted: 'evaluator', cases: 5 })).toMatchObject({
    kind: 'evaluator',
    why: 'asked for',
  });
  expect(planReference(SMALL, { wanted: 'bundle', cases: 5 })).toMatchObject({
    kind: 'bundle',
    why: 'asked for',
    checkedCases: 3,
  });
});

test('by products of ONNX Runtime a large one is affordable, and a small one takes no longer than by loops', () => {
  expect(evaluatorSeconds(LARGE, true)).toBeLessThan(120);
  expect(evaluatorSeconds(SMALL, true)).toBeLessThanOrEqual(evaluatorSeconds(SMALL, false));
  expect(planReference(LARGE, { wanted: 'auto', cases: 5, isFast: true })).toMatchObject({ kind: 'evaluator' });
  expect(planReference(LARGE, { wanted: 'auto', cases: 200, isFast: true })).toMatchObject({
    kind: 'bundle',
    checkedCases: 3,
  });
});
