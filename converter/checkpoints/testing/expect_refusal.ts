import { expect } from 'vitest';
import { visible } from '../../../ir/text/visible.ts';
import { PgconvError } from '../../errors.ts';

export interface Refusal {
  readonly code: string;
  readonly message: RegExp;
  readonly tensor?: string;
  readonly offset?: number;
  readonly name?: string;
}

const MAX_GROWTH = 64 * 1024 * 1024;
const MAX_MILLISECONDS = 1000;

/**
 * What the corpus promises of every bad input: a typed error with this code and message, which names the file, the
 * tensor and the offset where there are any, and says what to do; within a second and 64 MB.
 */
export async function expectRefusal(
  run: () => Promise<unknown>,
  file: string,
  { code, message, tensor, offset, name = 'BadInputError' }: Refusal,
): Promise<PgconvError> {
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const error: unknown = await run().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(performance.now() - start).toBeLessThan(MAX_MILLISECONDS);
  expect(process.memoryUsage().rss - before).toBeLessThan(MAX_GROWTH);
  if (!(error instanceof PgconvError)) throw new Error('no typed error', { cause: error });
  expect({ name: error.name, code: error.code, message: error.message }).toEqual({
    name,
    code,
    message: expect.stringMatching(message),
  });
  expect(error.place.file).toBe(file);
  if (tensor !== undefined) expect(error.place.tensor).toBe(tensor);
  if (offset !== undefined) expect(error.place.offset).toBe(offset);
  expect(error.place.hint).toMatch(/\w+ \w+/);
  for (const line of error.describe()) expect(line).toBe(visible(line));
  return error;
}
