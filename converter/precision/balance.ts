import { balanceChannels, foldConstants, type Pass } from '../../ir/passes/index.ts';

export const BALANCES = ['auto', 'none'] as const;

/** Whether columns of matrices are made of like size before they become codes. */
export type Balance = (typeof BALANCES)[number];

/** Where nobody says. Round to nearest is asked for when time counts: matrices are not read once more for it. */
export function usualBalance(algorithm: string | undefined): Balance {
  return algorithm === 'rtn' ? 'none' : 'auto';
}

/** What runs over a program whose weights become codes, before anything looks at it. */
export function balancePasses(balance: Balance): readonly Pass[] {
  return balance === 'auto' ? [foldConstants, balanceChannels] : [];
}
