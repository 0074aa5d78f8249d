import { describe, it } from 'vitest';
import { expectWordRows, WORD_ROWS } from '../testing/expect_word_rows.ts';

describe.each(['cpu', 'wasm'] as const)('words of rows on %s', (device) => {
  it.each(WORD_ROWS)('%j from %i on, %i of them', (shape, first, count) => expectWordRows(device, shape, first, count));
});
