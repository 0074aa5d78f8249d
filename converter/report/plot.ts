import type { TopLevelSpec } from 'vega-lite';

/** One picture, with what it shows in words for those who do not see it. */
export interface Plot {
  /** Of its file, without the ending. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly spec: TopLevelSpec;
}

/** Told apart on white and on black (contrast of 3 at least on both), and by people who do not see all colours. */
export const COLORS = ['#3b82f6', '#d97706', '#a855f7', '#0d9488', '#e11d48', '#6b7280'];
export const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';

/** Within bounds; what is no number is at the worse end. */
export function clamp(value: number, least: number, most: number, worse: number): number {
  return Number.isNaN(value) ? worse : Math.min(most, Math.max(least, value));
}

/** Powers of ten from below the least to above the greatest; every second where there are many. */
export function decades(values: readonly number[]): number[] {
  const [from, to] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const step = to - from > 10 ? 2 : 1;
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => 10 ** (from + i * step));
}
