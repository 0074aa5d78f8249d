import type { TfType } from '../graph.ts';

/** What a rule names as operand: a tensor with its type. */
export interface Operand extends TfType {
  readonly name: string;
}
