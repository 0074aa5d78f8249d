/** Bytes of results that are kept for matrices that are read again soon; the last one is kept whatever its size. */
const KEPT_BYTES = 64 * 1024 * 1024;

/** Something that holds bytes and can let go of them. */
export interface Holder {
  readonly heldBytes: number;
  release(): void;
}

/**
 * Holders by last use. One matrix is written after the other, so what its scales and codes share is needed for a short
 * while only.
 */
export class Recent {
  readonly #limit: number;
  readonly #holders = new Set<Holder>();

  constructor(limit = KEPT_BYTES) {
    this.#limit = limit;
  }

  /** Called when a holder has been read or has grown: the oldest others go until the rest fits. */
  use(holder: Holder): void {
    this.#holders.delete(holder);
    this.#holders.add(holder);
    let total = 0;
    for (const { heldBytes } of this.#holders) total += heldBytes;
    for (const oldest of this.#holders) {
      if (total <= this.#limit || oldest === holder) return;
      total -= oldest.heldBytes;
      this.#holders.delete(oldest);
      oldest.release();
    }
  }
}
