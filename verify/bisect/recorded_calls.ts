import type { Runner } from '../../backends/backend.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import type { Values } from '../../ir/passes/index.ts';
import { caseMember, type VerifyCase } from '../cases.ts';
import { MASK_GRAPH, maskCodes } from '../masks.ts';
import { runCase } from '../run_case.ts';

/** What one graph of a program was given once. */
export interface Call {
  readonly graph: string;
  /** `prefill`, `suffix`, `step`: for people. */
  readonly name: string;
  readonly inputs: Values;
}

/** Two choices: the second is read on, as every later one is. */
const STEPS = 2;

/**
 * What the graphs of a program are given while one row of a case is read alone, and so without padding: its picture,
 * the prompt, more tokens at once, one token; and codes of masks, where it makes any.
 */
export async function recordedCalls(program: Program, verifyCase: VerifyCase): Promise<readonly Call[]> {
  const calls: Call[] = [];
  // each run is heard of by itself
  const { runTogether: _, ...runner } = evaluatorRunner(program);
  const recording: Runner = {
    ...runner,
    run: (graph, inputs, options) => {
      calls.push({ graph, name: nameOf(graph, calls), inputs });
      return runner.run(graph, inputs, options);
    },
  };
  const row = caseMember(verifyCase, 0, program.metadata);
  const maxNewTokens = Math.min(STEPS, verifyCase.maxNewTokens);
  await runCase({ runner: recording, metadata: program.metadata }, { ...row, maxNewTokens });
  if (program.metadata.maskSize !== undefined)
    calls.push({ graph: MASK_GRAPH, name: 'masks', inputs: { codes: maskCodes() } });
  return calls;
}

/** The order in which `runCase` calls: a prompt, what is read at once, steps. */
function nameOf(graph: string, before: readonly Call[]): string {
  const times = before.filter((call) => call.graph === graph).length;
  return graph === 'vision_encoder' ? 'vision' : (['prefill', 'suffix'][times] ?? 'step');
}
