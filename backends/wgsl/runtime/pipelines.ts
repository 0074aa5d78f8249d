import type { Access, Pipeline, Plan } from '../bundle/plan.ts';
import { RuntimeError } from '../../client/errors.ts';
import { orAbort } from '../../client/aborting.ts';
import { atMost } from './at_most.ts';

export interface StepPipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Which variant of a kernel runs here. */
export interface PipelineChoice {
  readonly shader: string;
  readonly features: readonly string[];
  /** Why not a better one; empty when the best runs. */
  readonly reason: string;
}

export interface PipelineOptions {
  readShader(index: number, signal: AbortSignal): Promise<string>;
  /** Features of the device's WGSL, which no device is asked for; default none. */
  readonly language?: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

/**
 * Pipelines that compile at once: enough for the threads of a browser's compiler. What has begun cannot be taken back,
 * and holds up whoever loads next.
 */
const AT_ONCE = 8;

/**
 * All pipelines of a plan, compiled side by side. What compiles when the signal comes is not waited for.
 * @throws RuntimeError `missing_feature`, `bad_shader` with the compiler's message; the signal's reason
 */
export async function createPipelines(
  device: GPUDevice,
  plan: Plan,
  { readShader, language = new Set(), signal }: PipelineOptions,
): Promise<{ pipelines: StepPipeline[]; choices: PipelineChoice[] }> {
  const modules = new Map<number, Promise<GPUShaderModule>>();
  const layouts = new Map<string, GPUBindGroupLayout>();
  const moduleOf = (index: number): Promise<GPUShaderModule> => {
    const known =
      modules.get(index) ??
      readShader(index, signal).then((code) => device.createShaderModule({ label: plan.shaders[index]!.path, code }));
    modules.set(index, known);
    return known;
  };
  const layoutOf = (access: readonly Access[]): GPUBindGroupLayout => {
    const key = access.join();
    const known = layouts.get(key) ?? device.createBindGroupLayout({ label: key, entries: layoutEntries(access) });
    layouts.set(key, known);
    return known;
  };
  const compiler = atMost(AT_ONCE);
  const compiled = (descriptor: GPUComputePipelineDescriptor): Promise<GPUComputePipeline> =>
    compiler(() => {
      signal.throwIfAborted();
      return orAbort(device.createComputePipelineAsync(descriptor), signal);
    });
  const has = new Set([...device.features, ...language]);
  const choices = plan.pipelines.map((pipeline) => choose(has, plan, pipeline));
  const made = await Promise.all(
    plan.pipelines.map(async ({ access }, i) => {
      const { variant } = choices[i]!;
      const module = await moduleOf(variant.shader);
      const layout = layoutOf(access);
      const label = plan.shaders[variant.shader]!.path;
      try {
        const pipeline = await compiled({
          label,
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module, entryPoint: 'main' },
        });
        return { pipeline, layout };
      } catch (cause) {
        signal.throwIfAborted();
        const { messages } = await module.getCompilationInfo();
        const said = messages
          .filter((m) => m.type === 'error')
          .map((m) => `line ${m.lineNum}: ${m.message}`)
          .join('; ');
        throw new RuntimeError('bad_shader', `${label} does not compile here${said && `: ${said}`}`, undefined, {
          cause,
        });
      }
    }),
  );
  return { pipelines: made, choices: choices.map(({ choice }) => choice) };
}

function choose(has: ReadonlySet<string>, plan: Plan, { variants }: Pipeline) {
  const missing = (features: readonly string[]) => features.filter((feature) => !has.has(feature));
  const variant = variants.find(({ features }) => missing(features).length === 0);
  const [best] = variants;
  if (!variant)
    throw new RuntimeError(
      'missing_feature',
      `${plan.shaders[best!.shader]!.path} needs ${variants.map(({ features }) => features.join(' and ')).join(', or ')}`,
      'use a device with it',
    );
  const lacking = missing(best!.features);
  return {
    variant,
    choice: {
      shader: plan.shaders[variant.shader]!.path,
      features: variant.features,
      reason: variant === best ? '' : `this device has no ${lacking.join(', ')}`,
    },
  };
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
