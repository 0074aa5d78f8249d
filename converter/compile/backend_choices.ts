import { usualTarget } from '../../backends/usual_target.ts';
import type { Backend, Choice, EmitOptions } from '../../backends/backend.ts';
import { backendsThat } from '../../backends/find_backend.ts';
import { UsageError } from '../errors.ts';

/** What a user may say of a bundle beside its precision, where the backend has a say in it. */
export interface BackendChoices extends Pick<
  EmitOptions,
  'target' | 'quantizedOps' | 'accuracyLevel' | 'layersPerGraph'
> {
  readonly perChannel?: boolean;
}

/** As the command line spells them. */
const FLAGS: Readonly<Record<Choice, string>> = {
  quantizedOps: '--quant-ops',
  accuracyLevel: '--accuracy-level',
  perChannel: '--per-channel',
  layersPerGraph: '--layers-per-graph',
};

/** What was chosen, and the defaults of what the backend lets one choose; a choice that it does not have is absent. */
export type MadeChoices = Pick<EmitOptions, 'target' | 'quantizedOps' | 'accuracyLevel' | 'layersPerGraph'>;

/**
 * @throws UsageError for a target that the backend does not have, and for a choice that means nothing to it: silence
 * would let a user believe in it
 */
export async function chosenFor(
  backend: Pick<Backend, 'name' | 'targets' | 'choices' | 'defaultTarget'>,
  given: BackendChoices,
  precision: string,
): Promise<MadeChoices> {
  const { name, targets, choices } = backend;
  const { target = usualTarget(backend, precision), quantizedOps = 'nbits', accuracyLevel = 0, layersPerGraph } = given;
  if (target !== undefined && targets.length === 0)
    throw await refused(`${name} bundles have no --target: each runs wherever its runtime does`, (other) =>
      other.targets.includes(target),
    );
  if (target !== undefined && !targets.includes(target))
    throw new UsageError('unknown_target', `${name} has no target "${target}"`, {
      hint: `choose one of ${targets.join(', ')}`,
    });
  const idle = (Object.keys(FLAGS) as Choice[]).filter(
    (choice) => given[choice] !== undefined && given[choice] !== false && !choices.includes(choice),
  );
  if (idle.length > 0)
    throw await refused(
      `${idle.map((choice) => FLAGS[choice]).join(' and ')} mean${idle.length > 1 ? '' : 's'} nothing to ${name}`,
      (other) => idle.every((choice) => other.choices.includes(choice)),
    );
  return {
    ...(target !== undefined && { target }),
    ...(choices.includes('quantizedOps') && { quantizedOps }),
    ...(choices.includes('accuracyLevel') && { accuracyLevel }),
    ...(layersPerGraph !== undefined && { layersPerGraph }),
  };
}

async function refused(message: string, have: (backend: Backend) => boolean): Promise<UsageError> {
  const others = await backendsThat(have);
  const instead = others.length === 0 ? '' : `, or convert --to ${others.join(' or ')}`;
  return new UsageError('idle_option', message, { hint: `leave it out${instead}` });
}
