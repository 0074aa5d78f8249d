/** `1.23 GB`: decimal units, as disks are sold. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

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
