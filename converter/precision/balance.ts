import { balanceChannels, foldConstants, type Pass } from '../../ir/passes/index.ts';

export const BALANCES = ['auto', 'none'] as const;

/** Whether columns of matrices are made of like size before they become codes. */
export type Balance = (typeof BALANCES)[number];

/** What runs over a program whose weights become codes, before anything looks at it. */
export function balancePasses(balance: Balance): readonly Pass[] {
  return balance === 'auto' ? [foldConstants, balanceChannels] : [];
}
