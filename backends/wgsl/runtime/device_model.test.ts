import { describe, expect, it } from 'vitest';
import { SHAPES_METADATA } from '../../testing/shapes.ts';
import { WgslDeviceModel } from './device_model.ts';
import type { Executor } from './executor.ts';
import { MAX_STOPS } from './sampling/control.ts';

const model = () => new WgslDeviceModel({} as Executor, SHAPES_METADATA);

describe('what a caller asks of steps', () => {
  it('is a whole number of steps ahead, 8 without one, and no more stops than the shader has room for', () => {
    const stops = (count: number) => Array.from({ length: count }, (_, i) => i);
    expect(() => model().checkSteps(stops(MAX_STOPS), {})).not.toThrow();
    expect(() => model().checkSteps([], { ahead: 1 })).not.toThrow();
    expect(() => model().checkSteps(stops(MAX_STOPS + 1), {})).toThrow(`${MAX_STOPS + 1} stop tokens`);
    for (const ahead of [0, -1, 1.5, NaN, Infinity]) expect(() => model().checkSteps([], { ahead })).toThrow('ahead');
  });
});

it('there are no logits before a prompt is read', async () => {
  await expect(model().logits()).rejects.toMatchObject({ code: 'bad_input' });
});
