import { describe } from 'vitest';
import { itOnGpu } from '../../testing/gpu.ts';
import { expectWordRows, WORD_ROWS } from '../testing/expect_word_rows.ts';

describe('words of rows on webgpu', () => {
  for (const [shape, first, count] of WORD_ROWS)
    itOnGpu(`${JSON.stringify(shape)} from ${first} on, ${count} of them`, () =>
      expectWordRows('webgpu', shape, first, count),
    );
});
