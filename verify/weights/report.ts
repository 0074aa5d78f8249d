import { listedLines } from '../listed_lines.ts';
import type { WeightDifference } from './compare_rows.ts';
import { MOST_DIFFERENCES, type WeightsReport } from './verify_weights.ts';

/** `"lm.0.q.codes" should be 7 at [3, 12] of lm.0.q.codes, and is 8`. */
export function differenceText({ tensor, weight, part, row, element, found, expected }: WeightDifference): string {
  const of = part === 'zeros' ? `the zero points of ${weight}` : weight;
  return `"${tensor}" is ${found} where ${of} has ${expected}, at [${row}, ${element}]`;
}

/** Lines for people: each stored tensor that differs, with its place, and what has no counterpart. */
export function weightsLines({ differences, problems }: WeightsReport): readonly string[] {
  return [
    ...differences.map((each) => `weights: ${differenceText(each)} (${each.file}, offset ${each.offset})`),
    ...(differences.length < MOST_DIFFERENCES
      ? []
      : [
          `weights: so many differ that the others were not compared: there may be more than these ${MOST_DIFFERENCES}`,
        ]),
    ...listedLines(
      problems.map((problem) => `weights: ${problem}`),
      'problems',
    ),
  ];
}
