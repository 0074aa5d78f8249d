import { expect, test } from 'vitest';
import { answerText, differingCases } from './differing_answers.ts';
import type { Answer, QualityReport } from './report.ts';

const answer = (name: string, text: string, verdict: Answer['verdict'] = 'different'): Answer => ({
  case: name,
  prompt: 'ocr',
  reference: 'one',
  answer: text,
  verdict,
});

test('one row for each case, every variant beside the others', () => {
  const report = {
    variants: [
      { different: [answer('b.png', 'two')] },
      { different: [answer('a.png', 'three', 'tie'), answer('b.png', 'four')] },
    ],
  } as unknown as QualityReport;
  const rows = differingCases(report).map((row) => [row.case, ...row.answers.map(answerText)]);
  expect(rows).toEqual([
    ['a.png', 'the same', 'three (from a tie on)'],
    ['b.png', 'two', 'four'],
  ]);
});
