import type { Backend } from '../../../backends/backend.ts';
import type { Program } from '../../../ir/graph.ts';
import type { QuantizeWeightsOptions } from '../../../ir/passes/index.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { buildProgram } from '../../families/paligemma.ts';
import type { PaliGemmaConfig } from '../../families/paligemma/config.ts';
import { weightRoles } from '../../families/paligemma/weight_roles.ts';
import { canonicalShapes } from '../../families/paligemma/weights.ts';
import { chooseStorage } from '../../mixed/index.ts';
import { narrowingFor, programsFor } from '../../precision.ts';
import { distributionOf } from '../../synth/synth.ts';
import { randomTensor } from '../../synth/random_tensor.ts';
import type { Precision } from '../../../verify/tolerances.ts';

/** The program of a published model, or of any sizes; its weights are made when they are read. */
export function syntheticProgram(config: PaliGemmaConfig): Program {
  const shapes = [...canonicalShapes(config, config.tableRows)];
  return buildProgram(config, new Map(shapes.map(([name, shape], i) => [name, randomTensor('bf16', shape, distributionOf(name), i)] as const)));
}

/** As `pgconv convert --dtype` prepares it for a backend's default target, without calibration. No weight is read. @throws UsageError for a precision that the backend refuses */
export async function programIn(program: Program, precision: Precision, backend: Backend, { target = backend.targets[0], quantize }: { readonly target?: string; readonly quantize?: NonNullable<QuantizeWeightsOptions['quantize']> } = {}): Promise<Program> {
  const narrowing = narrowingFor(precision, backend, target);
  const storageOf = await chooseStorage({ precision, program, roleOf: weightRoles(program) });
  return programsFor(program, precision, { storageOf, backend, ...(narrowing && { narrowing }), ...(quantize && { quantize }) }).bundle;
}

/** Codes and scales of a matrix without looking at it: how fast a kernel is does not depend on how its codes were chosen. */
export type Codes = { readonly q: TensorData; readonly scales: TensorData; readonly zeros?: TensorData };
