import { expect, test } from 'vitest';
import { planJobs } from './plan_jobs.ts';

const one = {
  name: 'one',
  devices: ['cpu', 'webgpu'] as const,
  targets: ['portable', 'webgpu', 'server'],
  refusal: (precision: string) => (precision === 'fp16' ? { reason: 'no', instead: 'fp32' } : undefined),
};
const two = {
  name: 'two',
  devices: ['webgpu'] as const,
  targets: ['std', 'packed'],
  defaultTarget: (precision: string) => (precision === 'int4' ? 'packed' : 'std'),
  refusal: () => undefined,
};
const other = { name: 'other', devices: ['cpu'] as const, targets: [], refusal: () => undefined };
const plain = { ...other, name: 'plain', devices: ['webgpu'] as const };

test('a target that is for the device is run beside the usual one, and what is refused is not', () => {
  expect(planJobs(['small'], [one], ['fp32', 'fp16', 'int4'])).toEqual([
    { fixture: 'small', backend: 'one', target: 'portable', precisions: ['fp32', 'int4'] },
    { fixture: 'small', backend: 'one', target: 'webgpu', precisions: ['fp32', 'int4'] },
  ]);
});

test('each precision is run for the target that it is for', () => {
  expect(planJobs(['small'], [two], ['fp32', 'int4'])).toEqual([
    { fixture: 'small', backend: 'two', target: 'std', precisions: ['fp32'] },
    { fixture: 'small', backend: 'two', target: 'packed', precisions: ['int4'] },
  ]);
});

test('the last fixture begins first, and a backend that does not run there has no job', () => {
  expect(planJobs(['small', 'large'], [other, plain], ['fp32'])).toEqual([
    { fixture: 'large', backend: 'plain', precisions: ['fp32'] },
    { fixture: 'small', backend: 'plain', precisions: ['fp32'] },
  ]);
});
