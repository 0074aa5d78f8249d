import { expect, test } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { onnx } from '../../backends/onnx/index.ts';
import { chosenFor, type BackendChoices } from './backend_choices.ts';

const plain: Pick<Backend, 'name' | 'targets' | 'choices'> = { name: 'plain', targets: [], choices: [] };

test('what the backend lets one choose gets its defaults', async () => {
  expect(await chosenFor(onnx, {}, 'fp16')).toEqual({ target: 'portable', quantizedOps: 'nbits', accuracyLevel: 0 });
  expect(
    await chosenFor(onnx, { target: 'ort-cpu', quantizedOps: 'qdq', accuracyLevel: 4, perChannel: true }, 'int8'),
  ).toEqual({ target: 'ort-cpu', quantizedOps: 'qdq', accuracyLevel: 4 });
  expect(await chosenFor(plain, {}, 'fp16')).toEqual({});
  expect(await chosenFor(plain, { perChannel: false }, 'int8')).toEqual({});
});

test.each<[BackendChoices, RegExp, string]>([
  [{ target: 'portable' }, /plain bundles have no --target/, ', or convert --to onnx'],
  [{ target: 'metal' }, /plain bundles have no --target/, ''],
  [{ quantizedOps: 'nbits' }, /^--quant-ops means nothing to plain/, ', or convert --to onnx'],
  [{ accuracyLevel: 0 }, /^--accuracy-level means nothing to plain/, ', or convert --to onnx or wgsl'],
  [{ perChannel: true }, /^--per-channel means nothing to plain/, ', or convert --to onnx or wgsl'],
  [
    { quantizedOps: 'qdq', accuracyLevel: 4 },
    /^--quant-ops and --accuracy-level mean nothing to plain/,
    ', or convert --to onnx',
  ],
])('%o is refused where it means nothing, with the backends that have it', async (given, message, others) => {
  await expect(chosenFor(plain, given, 'int8')).rejects.toThrow(
    expect.objectContaining({
      exitCode: 2,
      code: 'idle_option',
      message: expect.stringMatching(message),
      place: { hint: `leave it out${others}` },
    }),
  );
});

test('a target of another backend is refused with those that there are', async () => {
  await expect(chosenFor(onnx, { target: 'metal' }, 'fp16')).rejects.toThrow(
    expect.objectContaining({
      exitCode: 2,
      code: 'unknown_target',
      place: { hint: 'choose one of portable, webgpu, ort-cpu, ort-cuda' },
    }),
  );
});
