import { expect, test } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { onnx } from '../../backends/onnx/index.ts';
import { chosenFor, type BackendChoices } from './backend_choices.ts';

const plain: Pick<Backend, 'name' | 'targets' | 'choices'> = { name: 'wgsl', targets: [], choices: [] };

test('what the backend lets one choose gets its defaults', () => {
  expect(chosenFor(onnx, {}, 'fp16')).toEqual({ target: 'portable', quantizedOps: 'nbits', accuracyLevel: 0 });
  expect(
    chosenFor(onnx, { target: 'ort-cpu', quantizedOps: 'qdq', accuracyLevel: 4, perChannel: true }, 'int8'),
  ).toEqual({ target: 'ort-cpu', quantizedOps: 'qdq', accuracyLevel: 4 });
  expect(chosenFor(plain, {}, 'fp16')).toEqual({});
  expect(chosenFor(plain, { perChannel: false }, 'int8')).toEqual({});
});

test.each<[BackendChoices, RegExp]>([
  [{ target: 'portable' }, /wgsl bundles have no --target/],
  [{ quantizedOps: 'nbits' }, /^--quant-ops means nothing to wgsl/],
  [{ accuracyLevel: 0 }, /^--accuracy-level means nothing to wgsl/],
  [{ perChannel: true }, /^--per-channel means nothing to wgsl/],
  [{ quantizedOps: 'qdq', accuracyLevel: 4 }, /^--quant-ops and --accuracy-level mean nothing to wgsl/],
])('%o is refused where it means nothing', (given, message) => {
  expect(() => chosenFor(plain, given, 'int8')).toThrow(
    expect.objectContaining({
      exitCode: 2,
      code: 'idle_option',
      message: expect.stringMatching(message),
      place: { hint: expect.stringContaining('--to onnx') },
    }),
  );
});

test('a target of another backend is refused with those that there are', () => {
  expect(() => chosenFor(onnx, { target: 'metal' }, 'fp16')).toThrow(
    expect.objectContaining({
      exitCode: 2,
      code: 'unknown_target',
      place: { hint: 'choose one of portable, webgpu, ort-cpu, ort-cuda' },
    }),
  );
});
