import type { Phase, Plan } from './bundle/plan.ts';

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
