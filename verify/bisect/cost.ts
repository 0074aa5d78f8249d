import type { Program } from '../../ir/graph.ts';
import { caseMember, type VerifyCase } from '../cases.ts';
import { costOf } from '../cost.ts';

/**
 * Multiplications of the row that is read, up to which a failed verification is bisected unasked. About ten passes
 * change a graph, and the evaluator does a billion in a second or two: half a minute.
 */
const CHEAP = 2e9;

/** Whether it is done where nobody asked. */
export function isCheap(program: Program, verifyCase: VerifyCase): boolean {
  return costOf(program, caseMember(verifyCase, 0, program.metadata)) <= CHEAP;
}
