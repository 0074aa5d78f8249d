import type { MetricName } from './tolerances.ts';

/** A figure in words, beside others of its kind. */
export interface FigureTexts {
  /** `relativeL2`; cosines are told by their distance from 1, whose digits say something. */
  readonly name: string;
  /** In the order of the values. */
  readonly texts: readonly string[];
  /** The side on which a limit lies that a figure must not miss, as it is told. */
  readonly side: (of: 'least' | 'most') => 'least' | 'most';
}

/** Enough for any two numbers. */
const MOST_DIGITS = 16;

/**
 * A figure and what it is held against, with so many digits that it is told apart; two at least, since bounds have one.
 */
export function figureTexts(metric: MetricName, values: readonly [number, ...number[]]): FigureTexts {
  const isDistance = metric === 'cosine';
  const told = isDistance ? values.map((value) => 1 - value) : values;
  const textOf = metric === 'sameTop1' ? percent : exponent;
  const at = (digits: number) => told.map((value) => textOf(value, digits));
  let texts = at(1);
  for (let digits = 2; digits <= MOST_DIGITS && texts.lastIndexOf(texts[0]!) > 0; digits++) texts = at(digits);
  return {
    name: isDistance ? '1 - cosine' : metric,
    texts: texts.lastIndexOf(texts[0]!) > 0 ? at(1) : texts,
    side: (of) => (isDistance ? (of === 'least' ? 'most' : 'least') : of),
  };
}

function exponent(value: number, digits: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(digits);
}

function percent(value: number, digits: number): string {
  return Number.isFinite(value) ? `${(100 * value).toFixed(digits + 1)} %` : String(value);
}
