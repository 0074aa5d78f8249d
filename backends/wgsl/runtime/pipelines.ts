import type { Pipeline, Plan } from '../bundle/plan.ts';
import { RuntimeError } from '../../client/errors.ts';
import { orAbort } from '../../client/aborting.ts';
import { atMost } from './at_most.ts';
import { compiled, type StepPipeline } from './compiled.ts';

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
 * All pipelines of a plan: those that the device does not have yet are compiled, side by side. What compiles when the
 * signal comes is not waited for.
 * @throws RuntimeError `missing_feature`, `bad_shader` with the compiler's message; the signal's reason
 */
export async function createPipelines(
  device: GPUDevice,
  plan: Plan,
  { readShader, language = new Set(), signal }: PipelineOptions,
): Promise<{ pipelines: StepPipeline[]; choices: PipelineChoice[] }> {
  const texts = new Map<number, Promise<string>>();
  const textOf = (index: number): Promise<string> => {
    const known = texts.get(index) ?? readShader(index, signal);
    texts.set(index, known);
    return known;
  };
  const compiler = atMost(AT_ONCE);
  const has = new Set([...device.features, ...language]);
  const choices = plan.pipelines.map((pipeline) => choose(has, plan, pipeline));
  const made = await Promise.all(
    plan.pipelines.map(async ({ access }, i) => {
      const { shader } = choices[i]!.variant;
      const code = await textOf(shader);
      return compiler(() => {
        signal.throwIfAborted();
        return orAbort(compiled(device, { label: plan.shaders[shader]!.path, code, access }), signal);
      });
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
