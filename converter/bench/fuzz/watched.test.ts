import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { watched } from './watched.ts';

const dir = mkdtempSync(join(tmpdir(), 'pgconv-watched-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** A child of 10 cases, of which those from 5 on are read by what is given. */
function child(name: string, fifth: string): string {
  const path = join(dir, `${name}.mjs`);
  writeFileSync(
    path,
    `import { writeFileSync } from 'node:fs';
     const { reader, from, notes } = JSON.parse(process.argv[2]);
     for (let number = from; number < 10; number++) {
       writeFileSync(notes, String(number));
       if (number === 5) ${fifth};
     }
     process.send({ reader, cases: 10 - from, taken: 1, refused: new Map([['a', 2]]), slowestSeconds: 1, problems: [] });
     process.disconnect();`,
  );
  return path;
}
const watch = (path: string) => watched({ reader: 'x', from: 3, milliseconds: 60_000, child: path, patience: 1500 });

test.each([
  ['hangs', 'for (;;);', 'does not end within 1.5 s'],
  ['dies', "process.kill(process.pid, 'SIGTERM')", 'ends the process: SIGTERM'],
  ['leaves', 'process.exit(9)', 'ends the process: exit code 9'],
])('a case that %s is a problem, and those after it are read', async (name, fifth, what) => {
  expect(await watch(child(name, fifth))).toMatchObject({
    cases: 7,
    taken: 1,
    refused: new Map([['a', 2]]),
    problems: [{ reader: 'x', number: 5, what }],
  });
});

test('a child that does not start is an error', async () => {
  const path = join(dir, 'none.mjs');
  writeFileSync(path, 'process.exit(1)');
  await expect(watch(path)).rejects.toThrow('none.mjs reads no case of x: exit code 1');
});

test('a child that has no problem is asked once', async () => {
  expect(await watch(child('sound', ''))).toMatchObject({ cases: 7, problems: [] });
});
