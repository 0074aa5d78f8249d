import type { Answer, QualityReport } from './report.ts';

/** A case that some variant answers otherwise, with every variant's answer. */
export interface DifferingCase extends Pick<Answer, 'case' | 'prompt' | 'reference' | 'truth' | 'minMargin'> {
  /** In the order of the variants; undefined for an answer that is the reference's. */
  readonly answers: readonly (Pick<Answer, 'answer' | 'verdict'> | undefined)[];
}

/** Cases that not all variants answer as the reference does, side by side. */
export function differingCases({ variants }: QualityReport): readonly DifferingCase[] {
  const found = new Map<string, DifferingCase>();
  for (const { case: name, prompt, reference, truth, minMargin } of variants.flatMap(({ different }) => different)) {
    const same = (other: Answer) => other.case === name && other.prompt === prompt;
    found.set(JSON.stringify([name, prompt]), {
      case: name,
      prompt,
      reference,
      ...(truth !== undefined && { truth }),
      ...(minMargin !== undefined && { minMargin }),
      answers: variants.map(({ different }) => different.find(same)),
    });
  }
  return [...found.values()].toSorted((a, b) => (a.case < b.case ? -1 : 1));
}

/** What a table says of one answer. */
export function answerText(answer: DifferingCase['answers'][number]): string {
  if (!answer) return 'the same';
  return answer.verdict === 'tie' ? `${answer.answer} (from a tie on)` : answer.answer;
}
