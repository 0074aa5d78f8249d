// @ts-check
// What is said when nothing else is: the state of the thread of the heartbeat. Plain JavaScript, as that is.
import { secondsText } from './seconds_text.js';

/** Silence, in milliseconds, after which something is said: looks come late on a busy machine, and 10 s never pass. */
const SILENCE_MS = 7000;

/** What the process tells its heartbeat. `at`: milliseconds of Date.now().
 * @typedef {{ readonly kind: 'told', readonly at: number }
 *   | { readonly kind: 'opened', readonly id: number, readonly label: string, readonly at: number }
 *   | { readonly kind: 'advanced', readonly id: number, readonly text: string }
 *   | { readonly kind: 'closed', readonly id: number, readonly at: number }} Beat
 */

export class Beats {
  /** @type {Map<number, { label: string, text: string, opened: number }>} */
  #stages = new Map();
  #told;
  #silence;
  /** When the last stage was closed: what works since then has no name. */
  #idle;

  /**
   * @param {number} now
   * @param {number} silence
   */
  constructor(now, silence = SILENCE_MS) {
    this.#silence = silence;
    this.#told = now;
    this.#idle = now;
  }

  /** @param {Beat} beat */
  hear(beat) {
    if (beat.kind === 'advanced') {
      const stage = this.#stages.get(beat.id);
      if (stage) stage.text = beat.text;
      return;
    }
    if (beat.kind === 'told') this.#told = beat.at;
    else if (beat.kind === 'opened') this.#stages.set(beat.id, { label: beat.label, text: '', opened: beat.at });
    else {
      this.#stages.delete(beat.id);
      this.#idle = beat.at;
    }
  }

  /**
   * A line, when there was none for long; it counts as one. The stage that was opened last is what works.
   * @param {number} now
   * @returns {string | undefined}
   */
  due(now) {
    if (now - this.#told < this.#silence) return undefined;
    this.#told = now;
    const stage = [...this.#stages.values()].pop();
    if (!stage) return `still working, for ${secondsText((now - this.#idle) / 1000)}`;
    const { label, text, opened } = stage;
    return `${label}: ${text && `${text}; `}still working, for ${secondsText((now - opened) / 1000)}`;
  }
}
