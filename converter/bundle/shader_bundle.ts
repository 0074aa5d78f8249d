import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MANIFEST_PATH, type WgslManifest } from '../../backends/wgsl/bundle/manifest.ts';
import { ManifestError } from '../../backends/wgsl/bundle/manifest_error.ts';
import type { Phase, Plan } from '../../backends/wgsl/bundle/plan.ts';
import { readManifest } from '../../backends/wgsl/bundle/read_manifest.ts';
import { BadInputError } from '../errors.ts';

/** The plan of a bundle of shaders. @throws BadInputError when it is missing, damaged or of a later version */
export async function readShaderBundle(dir: string): Promise<WgslManifest> {
  const file = join(dir, MANIFEST_PATH);
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new BadInputError(
      'read_failed',
      `cannot read the plan of the shaders: ${(cause as Error).message}`,
      { file, hint: 'copy the bundle again, or convert again' },
      { cause },
    );
  });
  return readManifest(bytes).catch((cause: unknown) => {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new BadInputError(
      `manifest_${cause.code}`,
      cause.message,
      { file, hint: cause.code === 'newer' ? 'use a newer pgconv' : 'copy the bundle again, or convert again' },
      { cause },
    );
  });
}

/** What a phase does, in numbers and names. */
export interface PhaseSummary {
  readonly name: string;
  /** Sizes that it is compiled for. */
  readonly fixed: Readonly<Record<string, number>>;
  /** Dispatches of one run. */
  readonly steps: number;
  /** How often each shader runs. */
  readonly shaders: Readonly<Record<string, number>>;
  readonly stages: readonly string[];
}

/** Phases by what they dispatch: each step by the shader that needs no feature. */
export function summarizePhases(plan: Plan): readonly PhaseSummary[] {
  return plan.phases.map((phase) => ({
    name: phase.name,
    fixed: Object.fromEntries(phase.fixed.map(({ symbol, value }) => [plan.symbols[symbol]!, value])),
    steps: phase.steps.length,
    shaders: shadersOf(plan, phase),
    stages: phase.stages.map(({ name }) => name),
  }));
}

function shadersOf({ pipelines, shaders }: Plan, { steps }: Phase): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const { pipeline } of steps) {
    const { path } = shaders[pipelines[pipeline]!.variants.at(-1)!.shader]!;
    const name = path.replace(/^shaders\//, '').replace(/\.wgsl$/, '');
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}
