import type { Text } from './text.ts';

/** Text piece by piece as its ids come: bytes of a character that is not whole yet are held back. */
export class TextPieces {
  readonly #decode: Text['decode'];
  readonly #ids: number[] = [];
  #given = 0;

  constructor(decode: Text['decode']) {
    this.#decode = decode;
  }

  add(id: number): string {
    this.#ids.push(id);
    return this.#piece(/\uFFFD+$/);
  }

  /** What was held back and will not become whole. */
  end(): string {
    return this.#piece(/$/);
  }

  #piece(unfinished: RegExp): string {
    const text = this.#decode(this.#ids).replace(unfinished, '');
    const piece = text.slice(this.#given);
    this.#given = Math.max(this.#given, text.length);
    return piece;
  }
}
