import { expect, test } from 'vitest';
import { RuntimeError } from '../../backends/client/errors.ts';
import { failureOf } from './exit.ts';

test('what a rule of the runtimes refuses has its own code, and is no bug', () => {
  for (const code of ['not_a_number', 'bad_input', 'damaged'] as const) {
    const failure = failureOf(new RuntimeError(code, 'what is wrong', 'what to do'));
    expect(failure).toMatchObject({ exitCode: 3, report: { code, message: 'what is wrong', hint: 'what to do' } });
    expect(failure!.text).toEqual([`${code}: what is wrong`, '  try: what to do']);
  }
});
