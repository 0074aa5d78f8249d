import { expect } from 'vitest';
import { itOnGpu } from './requirement.ts';

/** Dawn stops its threads when this object is collected, under a device in use as well: it must outlive them all. */
let gpu: GPU | undefined;

const COUNT = 1000;
const SHADER = `
@group(0) @binding(0) var<storage, read_write> data: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < ${COUNT}) { data[id.x] = data[id.x] * data[id.x] + 0.5; }
}`;

itOnGpu('WebGPU in Node computes what the CPU computes', async () => {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  gpu = create([]);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('Dawn finds no adapter');
  if (process.env['PGCONV_GPU'] !== 'system') expect(adapter.info.architecture).toBe('swiftshader');
  const device = await adapter.requestDevice();
  const input = Float32Array.from({ length: COUNT }, (_, i) => i / 8 - 50);
  const data = device.createBuffer({
    size: input.byteLength,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
  });
  const read = device.createBuffer({
    size: input.byteLength,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(data, 0, input);
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code: SHADER }), entryPoint: 'main' },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: data } }],
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.ceil(COUNT / 64));
  pass.end();
  encoder.copyBufferToBuffer(data, 0, read, 0, input.byteLength);
  device.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  // eighths and their squares are exact in f32, so the result is too
  expect(new Float32Array(read.getMappedRange()).slice()).toEqual(input.map((x) => x * x + 0.5));
  device.destroy();
});
