import { BackendError } from '../error.ts';

/**
 * What a bundle asks of tfjs: `std` nothing but its own ops, with weights expanded to f32 by its loader; `packed` one
 * op that `pgconv/tfjs` registers, with weights that stay in their codes.
 */
export const PROFILES = ['std', 'packed'] as const;
export type Profile = (typeof PROFILES)[number];

/** @throws BackendError `unsupported` */
export function profileOf(name: string | undefined): Profile {
  const profile = PROFILES.find((known) => known === (name ?? PROFILES[0]));
  if (profile) return profile;
  throw new BackendError('unsupported', `tfjs has no profile "${name}"`, { hint: `choose ${PROFILES.join(' or ')}` });
}
