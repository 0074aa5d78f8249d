import { expect, it } from 'vitest';
import { SHAPES_METADATA } from '../../testing/shapes.ts';
import { WgslDeviceModel } from './device_model.ts';
import type { Executor } from './executor.ts';

const model = () => new WgslDeviceModel({} as Executor, SHAPES_METADATA);

it('a caller asks for a whole number of steps ahead, 8 without one', () => {
  for (const own of [{}, { ahead: 1 }, { ahead: 100 }]) expect(() => model().checkSteps(own)).not.toThrow();
  for (const ahead of [0, -1, 1.5, NaN, Infinity]) expect(() => model().checkSteps({ ahead })).toThrow('ahead');
});

it('there are no logits before a prompt is read', async () => {
  await expect(model().logits()).rejects.toMatchObject({ code: 'bad_input' });
});
