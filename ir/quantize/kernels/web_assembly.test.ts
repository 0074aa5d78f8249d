import { expect, test } from 'vitest';
import { compileKernels, instantiateKernels } from './web_assembly.js';

/** A module that exports an empty memory as `memory`: the least that can be told apart from none. */
const MODULE = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  5,
  3,
  1,
  0,
  0,
  7,
  10,
  1,
  6,
  109,
  101,
  109,
  111,
  114,
  121,
  2,
  0,
);

test('a valid module is compiled; bytes that are none, or what an engine does not know, are no error', () => {
  const module = compileKernels(MODULE);
  expect(Object.keys(instantiateKernels(module!))).toEqual(['memory']);
  expect(compileKernels(MODULE.slice(0, 12))).toBeUndefined();
  expect(compileKernels(MODULE.with(4, 9))).toBeUndefined();
});
