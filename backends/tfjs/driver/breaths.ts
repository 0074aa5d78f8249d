import type { Tfjs } from './tfjs.ts';

/** As long as a page may be held up unseen: less than a frame. */
const HELD_MS = 10;

/** Backends that compute in the thread that calls them. */
const IN_THREAD: ReadonlySet<string> = new Set(['cpu', 'wasm']);

/**
 * Lets the thread do other things between pieces of work: a page paints, and hears that somebody aborts. Only where
 * tfjs computes in this thread, and only when it was held for a while: a timer costs up to 4 ms.
 */
export class Breaths {
  readonly #isNeeded: boolean;
  #since = performance.now();

  constructor(tf: Pick<Tfjs, 'getBackend'>) {
    this.#isNeeded = IN_THREAD.has(tf.getBackend());
  }

  /** Whether there is any. */
  get isNeeded(): boolean {
    return this.#isNeeded;
  }

  async take(): Promise<void> {
    if (!this.#isNeeded || performance.now() - this.#since < HELD_MS) return;
    await new Promise<void>((resolve) => setTimeout(resolve));
    this.#since = performance.now();
  }
}
