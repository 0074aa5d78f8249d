import { expect, test } from 'vitest';
import { tensorData, tensorOf } from '../../../ir/tensor.ts';
import { LeaveOut, unaccounted } from './unaccounted.ts';

const data = (key: string) => ({
  ...tensorData(tensorOf('f32', [2], [1, 2])),
  from: { file: '/c/model.safetensors', key, byteOffset: 96 },
});

test('names, shapes, the place of the first, and an option for each first part of the names', () => {
  const names = ['depth.a.weight', 'depth.b.weight', 'temperature'];
  const error = unaccounted(new Map(names.map((name) => [name, data(name)])), '/c');
  expect(error).toMatchObject({
    code: 'unaccounted',
    message: expect.stringContaining('3 tensors are of no part'),
    place: { file: '/c/model.safetensors', tensor: 'depth.a.weight', offset: 96 },
  });
  expect(error.message).toContain('"depth.a.weight" [2], "depth.b.weight" [2], "temperature" [2]');
  expect(error.place.hint).toContain(`--leave-out 'depth.*' --leave-out temperature`);
});

test('one alone, of which only the name is known', () => {
  const error = unaccounted(new Map([['chrono.npy', undefined]]), '/c/a.npz');
  expect(error.message).toContain('a tensor is of no part');
  expect(error.place).toMatchObject({ file: '/c/a.npz', tensor: 'chrono.npy' });
});

test('patterns stand for whole names, `*` for any letters and nothing else is special', () => {
  const leaveOut = new LeaveOut(['depth.*', 'a+b']);
  expect(['depth.x', 'depth.', 'adepth.x', 'a+b', 'aab'].map((name) => leaveOut.has(name))).toEqual([
    ...[true, true, false, true, false],
  ]);
  leaveOut.requireUsed('/c');
});

test('a pattern that leaves out nothing is an error', () => {
  const leaveOut = new LeaveOut(['depth.*', 'typo']);
  leaveOut.has('depth.x');
  expect(() => leaveOut.requireUsed('/c')).toThrow(expect.objectContaining({ code: 'nothing_left_out' }));
});
