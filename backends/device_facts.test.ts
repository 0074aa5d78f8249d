import { expect, test } from 'vitest';
import { deviceLine, type DeviceFacts } from './device_facts.ts';

const cpu = { model: 'Some CPU', architecture: 'x64', threads: 1 };
const gpu: NonNullable<DeviceFacts['gpu']> = {
  vendor: 'acme',
  architecture: 'one',
  device: '',
  description: 'acme',
  software: false,
  features: ['shader-f16', 'timestamp-query'],
  language: [],
  limits: { maxStorageBufferBindingSize: 2 ** 30 },
};

test('a processor, and a GPU with what counts of it, each name once', () => {
  expect(deviceLine({ name: 'cpu', host: 'node 20', cpu })).toBe('cpu, node 20: Some CPU, x64, 1 thread');
  expect(deviceLine({ name: 'webgpu', host: 'node 20', cpu, gpu })).toBe(
    'webgpu, node 20: acme one (2 features with shader-f16; bindings up to 1024 MiB)',
  );
});

test('that it is the CPU that computes, and that a browser does not tell a name', () => {
  const silent = { ...gpu, vendor: '', architecture: '', description: '', software: true, features: [], limits: {} };
  expect(deviceLine({ name: 'browser', host: 'Chromium 1', cpu, gpu: silent })).toBe(
    'browser, Chromium 1: software GPU that does not tell its name (0 features, no shader-f16)',
  );
});
