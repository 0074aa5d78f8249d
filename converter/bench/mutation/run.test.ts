import { describe, expect, it } from 'vitest';
import { run } from './run.ts';

const node = (code: string, seconds = 60) => run(process.execPath, ['-e', code], import.meta.dirname, seconds);

describe('a command', () => {
  it('tells what it wrote, and whether it ended well', async () => {
    const code = "console.log('out'); console.error('err'); process.exitCode = ";
    expect(await node(`${code}0`)).toEqual({ ok: true, late: false, output: expect.stringMatching(/out\n|err\n/) });
    expect(await node(`${code}3`)).toMatchObject({ ok: false, late: false, output: expect.stringContaining('err\n') });
  });

  it('that is not there has not ended well', async () =>
    expect(await run('/no/such/command', [], '/', 60)).toMatchObject({ ok: false, late: false }));

  it('is ended when it is late, with the processes that it started', async () => {
    const busy = "console.log('busy'); for (;;);";
    const code = `require('node:child_process').spawn(process.execPath, ['-e', "${busy}"], { stdio: 'inherit' })`;
    // it is settled when nobody holds its output any more
    expect(await node(code, 2)).toEqual({ ok: false, late: true, output: 'busy\n' });
  });
});
