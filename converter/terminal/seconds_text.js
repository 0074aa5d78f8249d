// @ts-check
// Plain JavaScript, so that the thread of the heartbeat loads it from the sources and from the build alike.

/**
 * `45 s`, `3 min 05 s`.
 * @param {number} seconds
 * @returns {string}
 */
export function secondsText(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}
