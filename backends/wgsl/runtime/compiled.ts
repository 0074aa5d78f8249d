import type { Access } from '../bundle/plan.ts';
import { RuntimeError } from '../../client/errors.ts';

export interface StepPipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** A compute shader with the entry point `main`: binding 0 is uniform, what follows is storage. */
export interface Shader {
  /** For messages. */
  readonly label: string;
  readonly code: string;
  /** Of the bindings from 1 on. */
  readonly access: readonly Access[];
  /** Values of its `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
}

interface Compiled {
  readonly layouts: Map<string, GPUBindGroupLayout>;
  readonly pipelines: Map<string, Promise<StepPipeline>>;
}

/**
 * What devices have compiled: as long as they live, since compiling takes longer than all else, and the next model on a
 * device, or the same one opened again, has many of the same texts. A pipeline is small beside the weights of a model;
 * who destroys a device, or drops it, gives its pipelines back.
 */
const devices = new WeakMap<GPUDevice, Compiled>();

/**
 * The pipeline of a shader on a device, compiled when the device has none of the same text. Its layout is that of the
 * shader's bindings whatever its constants, since `auto` would leave out what they do not use.
 * @throws RuntimeError `bad_shader` with the compiler's message, which is asked again the next time
 */
export function compiled(device: GPUDevice, shader: Shader): Promise<StepPipeline> {
  const known = devices.get(device) ?? { layouts: new Map(), pipelines: new Map() };
  devices.set(device, known);
  const key = JSON.stringify([shader.code, shader.access, shader.constants]);
  let pipeline = known.pipelines.get(key);
  if (!pipeline) {
    pipeline = compile(device, layoutOf(device, known.layouts, shader.access), shader);
    known.pipelines.set(key, pipeline);
    pipeline.catch(() => known.pipelines.delete(key));
  }
  return pipeline;
}

async function compile(
  device: GPUDevice,
  layout: GPUBindGroupLayout,
  { label, code, constants }: Shader,
): Promise<StepPipeline> {
  const module = device.createShaderModule({ label, code });
  try {
    const pipeline = await device.createComputePipelineAsync({
      label,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main', ...(constants && { constants }) },
    });
    return { pipeline, layout };
  } catch (cause) {
    const { messages } = await module.getCompilationInfo();
    const said = messages
      .filter((m) => m.type === 'error')
      .map((m) => `line ${m.lineNum}: ${m.message}`)
      .join('; ');
    throw new RuntimeError('bad_shader', `${label} does not compile here${said && `: ${said}`}`, undefined, { cause });
  }
}

/** One for all pipelines with the same bindings, whose bind groups then fit all of them. */
function layoutOf(
  device: GPUDevice,
  layouts: Map<string, GPUBindGroupLayout>,
  access: readonly Access[],
): GPUBindGroupLayout {
  const label = access.join();
  const known = layouts.get(label) ?? device.createBindGroupLayout({ label, entries: layoutEntries(access) });
  layouts.set(label, known);
  return known;
}

function layoutEntries(access: readonly Access[]): GPUBindGroupLayoutEntry[] {
  const visibility = GPUShaderStage.COMPUTE;
  return [
    { binding: 0, visibility, buffer: { type: 'uniform' } },
    ...access.map((kind, i): GPUBindGroupLayoutEntry => ({
      binding: i + 1,
      visibility,
      buffer: { type: kind === 'read' ? 'read-only-storage' : 'storage' },
    })),
  ];
}
