import type { TfAttr, TfDType } from '../graph.ts';
import type { Operand } from './operand.ts';

/** `T` of ops over one element type. */
export const typed = ({ dtype }: { readonly dtype: TfDType }): Readonly<Record<string, TfAttr>> => ({
  T: { type: dtype },
});

/** Indices and sizes. */
export const INT32: TfAttr = { type: 'int32' };

export const vectorType = { dtype: 'int32', rank: 1 } as const;

/** The same type with another rank. */
export const ofRank = ({ dtype }: Operand, rank: number) => ({ dtype, rank });
