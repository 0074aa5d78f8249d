import { expect, test } from 'vitest';
import { BadInputError, type OutputError } from './errors.ts';
import { outputError } from './output_error.ts';

const refused = (code: string) => Object.assign(new Error(code), { code });

test.each([
  'ENOSPC',
  'EDQUOT',
  'EFBIG',
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'ENAMETOOLONG',
  'EIO',
  'EBUSY',
])('%s is told with the option that chooses another place', (code) => {
  const error = outputError(refused(code), '/x', '--html') as OutputError;
  expect(error).toMatchObject({ exitCode: 4, place: { file: '/x' } });
  expect(error.place.hint).toMatch(/--html/);
  expect(error.place.hint).not.toMatch(/--out|[{}]/);
  expect((outputError(refused(code), '/x') as OutputError).place.hint).toMatch(/--out/);
});

test('what is no failure of the system stays what it is', () => {
  const typed = new BadInputError('x', 'y');
  expect(outputError(typed, '/x')).toBe(typed);
  expect(outputError('text', '/x')).toMatchObject({ message: 'text' });
});
