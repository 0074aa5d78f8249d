import { formats, type FormatName } from '../../ir/formats/index.ts';
import { balanceChannels, foldConstants, type Pass } from '../../ir/passes/index.ts';

export const BALANCES = ['auto', 'none'] as const;

/** Whether columns of matrices are made of like size before they become codes. */
export type Balance = (typeof BALANCES)[number];

/**
 * Where nobody says. Round to nearest is asked for when time counts: matrices are not read once more for it. A format
 * that has nothing else is for weights that lie on its levels already.
 */
export function usualBalance(algorithm: string | undefined, format: FormatName | undefined): Balance {
  const isNearest = algorithm === 'rtn' || (format !== undefined && formats[format].algorithms[0] === 'rtn');
  return isNearest ? 'none' : 'auto';
}

/** What runs over a program whose weights become codes, before anything looks at it. */
export function balancePasses(balance: Balance): readonly Pass[] {
  return balance === 'auto' ? [foldConstants, balanceChannels] : [];
}
