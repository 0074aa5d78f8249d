import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Runner } from '../../../backends/backend.ts';
import { BackendError } from '../../../backends/error.ts';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import type { Program } from '../../../ir/graph.ts';
import { MODEL_PATH, type ModelJson } from './emit.ts';
import { readGraph } from './read_graph.ts';

/** Opens a bundle in the evaluator. @throws BackendError */
export async function open(dir: string): Promise<Runner> {
  return evaluatorRunner(await readProgram(dir), 'toy, in the evaluator');
}

async function readProgram(dir: string): Promise<Program> {
  const file = join(dir, MODEL_PATH);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new BackendError('bundle-missing', `there is no ${MODEL_PATH}`, { file, hint: 'convert again' }, { cause });
  });
  const { metadata, graphs } = JSON.parse(text) as ModelJson;
  return { metadata, graphs: await Promise.all(graphs.map((path) => readGraph(join(dir, path)))) };
}
