import { usualTarget } from '../../../backends/usual_target.ts';
import type { Backend } from '../../../backends/backend.ts';
import type { Program } from '../../../ir/graph.ts';
import type { QuantizeWeightsOptions } from '../../../ir/passes/index.ts';
import { buildProgram } from '../../models/paligemma.ts';
import type { PaliGemmaConfig } from '../../models/paligemma/config.ts';
import { weightRoles } from '../../models/paligemma/weight_roles.ts';
import { canonicalShapes } from '../../models/paligemma/weights.ts';
import { chooseStorage } from '../../precision/bit_allocation/index.ts';
import { usualBalance } from '../../precision/balance.ts';
import { balancedProgram, formatFor, narrowingFor, programsFor, usualMixed } from '../../precision/precision.ts';
import { distributionOf } from '../../synth/synth.ts';
import { randomTensor } from '../../synth/random_tensor.ts';
import type { Precision } from '../../../verify/tolerances.ts';

/** The program of a published model, or of any sizes, with seeded weights that are made when they are read. */
export function syntheticProgram(config: PaliGemmaConfig): Program {
  const shapes = [...canonicalShapes(config, config.tableRows)];
  return buildProgram(
    config,
    new Map(shapes.map(([name, shape], i) => [name, randomTensor('f16', shape, distributionOf(name), i)] as const)),
  );
}

export interface ProgramOptions {
  /** Default the backend's first. */
  readonly target?: string;
  /** Default as `pgconv convert` does it. */
  readonly quantize?: NonNullable<QuantizeWeightsOptions['quantize']>;
  /** Whose rules choose bits, where two backends are to have one model; default the backend's. */
  readonly bitsOf?: Backend;
}

/**
 * As `pgconv convert --dtype` prepares a program for a backend, without calibration. No weight is read.
 * @throws UsageError for a precision that the backend refuses
 */
export async function programIn(
  program: Program,
  precision: Precision,
  backend: Backend,
  { target = usualTarget(backend, precision), quantize, bitsOf = backend }: ProgramOptions = {},
): Promise<Program> {
  const narrowing = narrowingFor(precision, backend, target);
  const storageOf = await chooseStorage({
    precision,
    mixed: usualMixed(backend, target),
    program,
    roleOf: weightRoles(program),
    backend: bitsOf,
  });
  return programsFor(balancedProgram(program, precision, usualBalance(undefined, formatFor(precision))), precision, {
    storageOf,
    backend,
    target,
    ...(narrowing && { narrowing }),
    ...(quantize && { quantize }),
  }).bundle;
}
