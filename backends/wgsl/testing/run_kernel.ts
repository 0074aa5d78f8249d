import { evaluateDim, type Bindings } from '../../../ir/dim.ts';
import type { GridAxis, Kernel } from '../kernels/kernel.ts';
import { shaderText } from '../kernels/wgsl_text.ts';
import { compiled } from '../runtime/compiled.ts';

export interface KernelRun {
  readonly kernel: Kernel;
  /** Values of the symbols that the kernel reads. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Contents of each binding, in order; written ones with their initial values. */
  readonly buffers: readonly (Float32Array | Int32Array | Uint32Array)[];
  /** Which variant; default the plain body. */
  readonly features?: readonly string[];
}

/** Runs one kernel and returns all its buffers afterwards, as raw bytes. @throws Error with the compiler's message */
export async function runKernel(
  device: GPUDevice,
  { kernel, sizes, buffers, features = [] }: KernelRun,
): Promise<ArrayBuffer[]> {
  const symbols = Object.keys(sizes).length > 0 ? Object.keys(sizes) : ['none'];
  const variant = kernel.variants?.find((v) => v.features.join() === features.join());
  if (features.length > 0 && !variant) throw new Error(`${kernel.name} has no variant with ${features.join()}`);
  const code = shaderText(kernel, variant?.body ?? kernel.body, symbols, features);
  const shader = { label: kernel.name, code, access: kernel.bindings.map(({ access }) => access) };
  const { pipeline, layout } = await compiled(device, shader).catch((cause: unknown) => {
    const lines = code.split('\n').map((line, i) => `${i + 1} ${line}`);
    throw new Error([cause instanceof Error ? cause.message : String(cause), ...lines].join('\n'), { cause });
  });
  device.pushErrorScope('validation');
  const uniform = device.createBuffer({
    size: Math.ceil((4 * symbols.length) / 16) * 16,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(
    uniform,
    0,
    Uint32Array.from(symbols, (name) => sizes[name] ?? 0),
  );
  const storage = buffers.map((data) => {
    const buffer = device.createBuffer({
      size: Math.max(16, Math.ceil(data.byteLength / 4) * 4),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  });
  const group = device.createBindGroup({
    layout,
    entries: [uniform, ...storage].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const bindings: Bindings = new Map(Object.entries(sizes));
  const count = ({ factors, divide }: GridAxis) =>
    Math.ceil(factors.reduce<number>((product, dim) => product * evaluateDim(dim, bindings), 1) / divide);
  const [x, y, z] = kernel.grid.map(count) as [number, number, number];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  const folded = Math.ceil(x / 65535);
  pass.dispatchWorkgroups(Math.min(x, 65535), y * folded, z);
  pass.end();
  const reads = storage.map((buffer) =>
    device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }),
  );
  storage.forEach((buffer, i) => encoder.copyBufferToBuffer(buffer, 0, reads[i]!, 0, buffer.size));
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error) throw new Error(`${kernel.name}: ${error.message}`);
  await Promise.all(reads.map((read) => read.mapAsync(GPUMapMode.READ)));
  const results = reads.map((read, i) => read.getMappedRange().slice(0, buffers[i]!.byteLength));
  for (const buffer of [uniform, ...storage, ...reads]) buffer.destroy();
  return results;
}
