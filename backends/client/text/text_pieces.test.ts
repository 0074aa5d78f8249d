import { expect, test } from 'vitest';
import { TextPieces } from './text_pieces.ts';

/** Bytes of UTF-8 as ids, as byte fallback has them. */
const decode = (ids: readonly number[]) => new TextDecoder().decode(Uint8Array.from(ids));
const bytes = (text: string) => [...new TextEncoder().encode(text)];

test('a piece for each id; a character comes when it is whole', () => {
  const pieces = new TextPieces(decode);
  expect(bytes('a 猫b').map((id) => pieces.add(id))).toEqual(['a', ' ', '', '', '猫', 'b']);
  expect(pieces.end()).toBe('');
});

test('a character that does not become whole', () => {
  const pieces = new TextPieces(decode);
  expect([...bytes('a'), ...bytes('猫').slice(0, 2)].map((id) => pieces.add(id)).join('')).toBe('a');
  expect(pieces.end()).toMatch(/^\uFFFD+$/);
  expect(new TextPieces(decode).end()).toBe('');
});
