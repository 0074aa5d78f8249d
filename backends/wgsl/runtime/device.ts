import type { Plan } from '../bundle/plan.ts';
import { RuntimeError } from '../../client/errors.ts';
import { nodePackage } from '../../client/node.ts';

export interface OpenedDevice {
  readonly device: GPUDevice;
  /** Gives the device back, where it is not the caller's. */
  readonly release: () => void;
  /** For people. */
  readonly adapter: string;
  /** What its WGSL has beyond the first version's. */
  readonly language: ReadonlySet<string>;
}

/** Where features come from, for tests: the browser's `navigator.gpu`, or the `webgpu` package. */
export type GpuProvider = Pick<GPU, 'requestAdapter'> & Partial<Pick<GPU, 'wgslLanguageFeatures'>>;

/** Opens devices, and takes them back from who has done with them. */
export interface DeviceSource {
  request(adapter: GPUAdapter, descriptor: GPUDeviceDescriptor): Promise<GPUDevice>;
  release(device: GPUDevice): void;
}

/** A device for each model, which ends with it. */
const own: DeviceSource = {
  request: (adapter, descriptor) => adapter.requestDevice(descriptor),
  release: (device) => device.destroy(),
};

/** Dawn stops its threads when this object is collected, under a device in use as well: it must outlive them all. */
let dawn: GPU | undefined;
/** Of what has found no GPU: one that is made later may find a driver that was named since. */
const without: GPU[] = [];

/**
 * A device with what a plan needs, and with what of its variants and of profiling the adapter has.
 * @throws RuntimeError `no_webgpu`, `missing_feature`, `small_limit`
 */
export async function openDevice(plan: Plan, gpu?: GpuProvider, devices: DeviceSource = own): Promise<OpenedDevice> {
  const { adapter, language } = await requireAdapter(gpu);
  checkLimits(adapter.limits, neededLimits(plan));
  checkFeatures(new Set([...adapter.features, ...language]), plan);
  // what a prompt needs is not known yet, nor which plans follow on a shared device: all that the adapter has
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = adapter.limits;
  const wanted = new Set([
    'timestamp-query',
    ...plan.pipelines.flatMap(({ variants }) => variants.flatMap(({ features }) => features)),
  ]);
  const device = await devices.request(adapter, {
    requiredFeatures: [...wanted].filter((feature) => adapter.features.has(feature)).sort() as GPUFeatureName[],
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage },
  });
  return { device, release: () => devices.release(device), adapter: nameOf(adapter.info), language };
}

/** The GPU of this machine or page. @throws RuntimeError `no_webgpu` */
export async function requireAdapter(
  gpu?: GpuProvider,
): Promise<{ readonly adapter: GPUAdapter; readonly language: ReadonlySet<string> }> {
  const from = gpu ?? (await provider());
  const adapter = await from.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter) return { adapter, language: languageOf(from) };
  if (dawn && from === dawn) {
    without.push(dawn);
    dawn = undefined;
  }
  throw new RuntimeError(
    'no_webgpu',
    'WebGPU finds no GPU here',
    'use a machine with a GPU and its driver, or a browser that allows it',
  );
}

/**
 * A device that was given, when it will do. What its WGSL has is what that of its `gpu` has, if that is given, and of a
 * browser's otherwise. @throws RuntimeError `missing_feature`, `small_limit`
 */
export function givenDevice(device: GPUDevice, plan: Plan, gpu: GpuProvider | undefined = browserGpu()): OpenedDevice {
  const language = languageOf(gpu);
  checkLimits(device.limits, neededLimits(plan));
  checkFeatures(new Set([...device.features, ...language]), plan);
  return { device, release: () => {}, adapter: 'given', language };
}

function languageOf(gpu: GpuProvider | undefined): ReadonlySet<string> {
  return new Set(gpu?.wgslLanguageFeatures ?? []);
}

function browserGpu(): GPU | undefined {
  return (globalThis as { readonly navigator?: { readonly gpu?: GPU } }).navigator?.gpu;
}

async function provider(): Promise<GpuProvider> {
  const browser = browserGpu();
  if (browser) return browser;
  if (dawn) return dawn;
  if (!('process' in globalThis))
    throw new RuntimeError(
      'no_webgpu',
      'this browser has no WebGPU, or the page is not served by https',
      'use a recent Chrome, Edge, Safari or Firefox',
    );
  const { create, globals } = await nodePackage('webgpu').catch((cause: unknown) => {
    throw new RuntimeError(
      'no_webgpu',
      'the package webgpu, which brings WebGPU to Node, is not installed',
      'npm install webgpu',
      { cause },
    );
  });
  Object.assign(globalThis, globals);
  return (dawn = create([]));
}

/** What weights and kernels need, whatever the prompt. */
function neededLimits({ shards, weights, pipelines }: Plan): Record<string, number> {
  const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);
  return {
    maxBufferSize: most(shards.map((shard) => Math.ceil(shard.byteLength / 16) * 16)),
    maxStorageBufferBindingSize: most(weights.map((weight) => Math.ceil(weight.byteLength / 16) * 16)),
    maxStorageBuffersPerShaderStage: most(pipelines.map((pipeline) => pipeline.access.length)),
  };
}

function checkLimits(limits: GPUSupportedLimits, needed: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(needed)) {
    const offered = limits[name as keyof GPUSupportedLimits] as number;
    if (offered < value)
      throw new RuntimeError(
        'small_limit',
        `this model needs ${name} of ${value}, this device offers ${offered}`,
        'update the browser or the driver, or use another device',
      );
  }
}

function checkFeatures(features: ReadonlySet<string>, { pipelines, shaders }: Plan): void {
  for (const { variants } of pipelines) {
    if (variants.some((variant) => variant.features.every((feature) => features.has(feature)))) continue;
    const lacking = new Set(variants.at(-1)?.features.filter((feature) => !features.has(feature)));
    throw new RuntimeError(
      'missing_feature',
      `${shaders[variants.at(-1)?.shader ?? 0]?.path} needs ${[...lacking].join(' and ')}, which this device does not have`,
      'use another device',
    );
  }
}

function nameOf({ vendor, architecture, description }: GPUAdapterInfo): string {
  return description || [vendor, architecture].filter(Boolean).join(' ') || 'unknown adapter';
}
