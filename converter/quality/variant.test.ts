import { describe, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import { parseDtype, variantsOf } from './variant.ts';

describe('a dtype with settings of its own', () => {
  test.each([
    ['fp16', { precision: 'fp16', settings: {} }],
    [' int8+rtn', { text: 'int8+rtn', precision: 'int8', settings: { algorithm: 'rtn' } }],
    ['int4+mixed=none+hqq', { precision: 'int4', settings: { algorithm: 'hqq', mixed: 'none' } }],
    ['q4f16+calibrate', { precision: 'q4f16', settings: { calibrate: 'default' } }],
    ['fp16+calibrate=a=b', { precision: 'fp16', settings: { calibrate: 'a=b' } }],
  ])('%s', (text, expected) => expect(parseDtype(text)).toMatchObject(expected));

  test.each([
    '',
    'fp8',
    'int4+',
    'int4+fast',
    'int4+mixed',
    'int4+mixed=',
    'int4+calibrate=',
    'fp16+rtn',
    'fp32+mixed=auto',
  ])('"%s" is refused', (text) => {
    expect(() => parseDtype(text)).toThrow(UsageError);
  });
});

test('defaults reach the dtypes for which they mean something, and yield to their own; nothing is measured twice', () => {
  const variants = variantsOf(['fp32', 'fp16', 'int4', 'int4+rtn', 'int4'].map(parseDtype), ['onnx', 'onnx'], {
    algorithm: 'hqq',
    calibrate: 'photos',
  });
  expect(variants.map(({ label, settings }) => [label, settings])).toEqual([
    ['fp32', {}],
    ['fp16', { calibrate: 'photos' }],
    ['int4', { algorithm: 'hqq' }],
    ['int4+rtn', { algorithm: 'rtn' }],
  ]);
  const guided = variantsOf(['int4', 'int4+gptq', 'int4+rtn+calibrate=photos'].map(parseDtype), ['onnx'], {
    calibrate: 'photos',
  });
  expect(guided.map(({ settings }) => settings)).toEqual([
    { calibrate: 'photos' },
    { algorithm: 'gptq', calibrate: 'photos' },
    { algorithm: 'rtn', calibrate: 'photos' },
  ]);
  // bits are chosen by pictures also where codes are not
  const goals = variantsOf(['int4+rtn+budget=1GB', 'int4+hqq+target-kld=0.01'].map(parseDtype), ['onnx'], {
    calibrate: 'photos',
  });
  expect(goals.map(({ settings }) => settings.calibrate)).toEqual(['photos', 'photos']);
});
