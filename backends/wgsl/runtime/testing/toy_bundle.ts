import type { ProgramMetadata } from '../../../../ir/metadata.ts';
import { withHashes } from '../../../client/integrity/testing/with_hashes.ts';
import { MANIFEST_PATH } from '../../bundle/manifest.ts';
import type { Plan } from '../../bundle/plan.ts';
import { manifestBytes } from '../../bundle/write_manifest.ts';
import { TOY, toyPlan } from './toy_model.ts';

export const toyFacts: ProgramMetadata = {
  ...TOY,
  family: 'toy',
  variant: 'toy',
  layers: 1,
  kvHeads: 1,
  headDim: TOY.width,
  hiddenSize: TOY.width,
};

/** The files of the toy by path; `change` may spoil the plan before it is written down. */
export async function toyBundle(
  change: (plan: Plan) => Plan = (plan) => plan,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const { plan, files } = toyPlan();
  const manifest = await manifestBytes({ precision: 'fp32', model: toyFacts, plan: change(plan) });
  return withHashes(new Map([...files, [MANIFEST_PATH, new Uint8Array(manifest)]]));
}
