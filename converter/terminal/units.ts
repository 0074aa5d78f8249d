import { bytesText } from '../../backends/bytes_text.ts';
import type { StageDetail, StageOptions } from './reporter.ts';
import { secondsText } from './seconds_text.js';

export { secondsText } from './seconds_text.js';

/** How far a stage is. */
export interface StageProgress extends StageOptions, StageDetail {
  readonly done: number;
  /** Since it began. */
  readonly seconds: number;
}

/** What must be done before a rate says anything of the rest. */
const TOLD_SHARE = 0.02;

/** Done and total, rate and time left, as far as they are known. */
export function progressText(progress: StageProgress): string {
  return textOf(progress, leftText(progress));
}

/** The same without the time left, which is of the moment in which it was told. */
export function doneText(progress: StageProgress): string {
  return textOf(progress, '');
}

function textOf({ done, total, seconds, unit, text }: StageProgress, left: string): string {
  const detail = text === undefined ? '' : ` (${text})`;
  switch (unit) {
    case 'wait':
      return text ?? '';
    case 'work':
      return `${total > 0 ? Math.floor((100 * done) / total) : 0} %${left}${detail}`;
    case 'steps':
      return `${done} of ${total}${left}${detail}`;
    case 'bytes':
      return `${bytesText(done)} of ${bytesText(total)}, ${bytesText(Math.round(rateOf(done, seconds)))}/s${left}${detail}`;
  }
}

function leftText({ done, total, seconds, unit, secondsLeft, isLeast = false }: StageProgress): string {
  if (secondsLeft !== undefined && secondsLeft < 0.5) return '';
  if (secondsLeft !== undefined) return `, ${isLeast ? 'more than ' : ''}${secondsText(secondsLeft)} left`;
  const rate = unit === 'bytes' && done >= TOLD_SHARE * total ? rateOf(done, seconds) : 0;
  return rate > 0 ? `, ${secondsText((total - done) / rate)} left` : '';
}

function rateOf(done: number, seconds: number): number {
  return seconds > 0 ? done / seconds : 0;
}

/** Waiting that is over sooner was not worth a line. */
const SHORT_SECONDS = 5;

/** The line to remember a stage by; undefined for one of which nobody had to hear. */
export function overText(label: string, { unit, total, done, seconds }: StageProgress): string | undefined {
  const took = secondsText(seconds);
  if (unit === 'wait') return seconds < SHORT_SECONDS ? undefined : `${label}: in ${took}`;
  return `${label}: ${unit === 'bytes' ? bytesText(done) : `${done} of ${total}`} in ${took}`;
}
