import type { Backend } from '../../../backends/backend.ts';
import { describe, describeFile, storedTensors } from './describe.ts';
import { emit, GRAPH_EXTENSION } from './emit.ts';
import { open } from './open.ts';

/**
 * A whole backend in a few lines, as an example and for tests: its bundles are the text of the graphs and one file of
 * weights, and the evaluator runs them.
 */
export const toy: Backend = {
  name: 'toy',
  devices: ['cpu'],
  targets: [],
  choices: [],
  refusal: () => undefined,
  floatZeros: true,
  sharesTable: false,
  narrowing: () => 'compute',
  emit,
  clientFiles({ prepared }) {
    const [processor, tokenizer] = [prepared.preprocessor(), prepared.tokenizer()];
    return { files: [processor.value, ...tokenizer.value], notes: [...processor.notes, ...tokenizer.notes] };
  },
  packages: () => [],
  open,
  describe,
  storedTensors,
  file: { extension: GRAPH_EXTENSION, describe: describeFile },
};
