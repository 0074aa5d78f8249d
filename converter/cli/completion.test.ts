import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { pgconv } from '../testing/command_line.ts';

/** What bash offers behind these words. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const { out } = await pgconv('completion', 'bash');
  const script = `${out}
COMP_WORDS=(pgconv ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _pgconv; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

test('bash completes commands, options, and values that are a choice', async () => {
  expect(await offered('con')).toEqual(['convert']);
  expect(await offered('convert', '--to', '')).toEqual(['onnx', 'tfjs', 'wgsl']);
  expect(await offered('run', 'bundle', '--max')).toEqual(['--max-new-tokens']);
  // files are the shell's own
  expect(await offered('convert', '--out', '')).toEqual([]);
  expect(await offered('completion', 'fi')).toEqual([]);
});

test.each(['zsh', 'fish'])('%s is told every command and option, in quotes that hold', async (shell) => {
  const { code, out } = await pgconv('completion', shell);
  expect(code).toBe(0);
  for (const word of ['convert', 'doctor', 'repetition-penalty', 'q4f16']) expect(out).toContain(word);
  // whatever a description has, quotes are even on every line: nothing of it is run
  for (const line of out.split('\n'))
    expect((line.replaceAll(String.raw`'\''`, '').match(/'/g) ?? []).length % 2).toBe(0);
});

test('another shell is refused with those that there are', async () => {
  const { code, err } = await pgconv('completion', 'powershell');
  expect(code).toBe(2);
  expect(err).toContain('bash, zsh, fish');
});
