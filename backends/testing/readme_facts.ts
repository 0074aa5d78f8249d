import type { AnswerUse, ReadmeFacts, RetrievalUse } from '../readme/readme_input.ts';
import { SHAPES_METADATA } from './shapes.ts';

export const ANSWERS: AnswerUse = {
  kind: 'answers',
  summary: 'Answers what is asked about a picture.',
  examplePrompt: "say what's there",
  maskPrompt: 'outline it',
  prompts: 'It knows `count`.',
  licence: 'those are free',
};

export const RETRIEVAL: RetrievalUse = {
  kind: 'retrieval',
  summary: 'Gives pages and questions vectors.',
  pagePrompt: 'Look at it.',
  question: { start: '<bos>', example: 'Which one?', filler: '<pad>', count: 10, end: '\n' },
  prompts: 'A question has no image.',
  licence: 'those are free',
};

export const README_FACTS: ReadmeFacts = {
  metadata: SHAPES_METADATA,
  use: ANSWERS,
  name: 'shapes-fp16',
  tool: { name: 'pgconv', version: '9.8.7' },
  source: { kind: 'a big_vision checkpoint', files: ['bv_f32.npz'], dtypes: ['f32'] },
  precision: 'fp16',
  verification: ['weights: held', 'program: held'],
  verifyCommand: 'pgconv verify shapes-fp16 CHECKPOINT',
};

/** The JavaScript that a README shows. */
export function programsIn(markdown: string): readonly string[] {
  return [...markdown.matchAll(/```js\n([^]*?)```/g)].map((match) => match[1]!);
}

/** @throws SyntaxError when a module's text, but for its imports, is no JavaScript */
export function parseModule(text: string): void {
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
  AsyncFunction(text.replaceAll(/^import .*$/gm, ''));
}
