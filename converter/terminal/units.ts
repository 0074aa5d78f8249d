import { bytesText } from '../../backends/bytes_text.ts';

/** `45 s`, `3 min 05 s`. */
export function secondsText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** Done and total, rate and time left, as far as they are known. */
export function progressText(done: number, total: number, seconds: number, unit: 'bytes' | 'steps'): string {
  if (unit === 'steps') return `${done} of ${total}`;
  const rate = seconds > 0 ? done / seconds : 0;
  const left = rate > 0 ? `, ${secondsText((total - done) / rate)} left` : '';
  return `${bytesText(done)} of ${bytesText(total)}, ${bytesText(Math.round(rate))}/s${left}`;
}
