import { spawn } from 'node:child_process';

/** How a command ended: well, or with an error, or stopped as it was late; and what it wrote. */
export interface Ended {
  readonly ok: boolean;
  readonly late: boolean;
  readonly output: string;
}

/**
 * Runs a command in `cwd`. After `seconds` it is ended, and with it whatever it started: a slip may make a process of
 * the tests loop for ever, and that does not see that its parent is gone.
 */
export function run(file: string, args: readonly string[], cwd: string, seconds: number): Promise<Ended> {
  return new Promise((done) => {
    const env = { ...process.env, PGCONV_INSTALL: 'no' };
    // a group of its own, which a signal reaches as one
    const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, late] = ['', false];
    const collect = (text: Buffer) => {
      output += text.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const end = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // the group has ended by itself
      }
    };
    const timer = setTimeout(() => {
      late = true;
      end();
    }, 1000 * seconds);
    process.once('exit', end);
    const finish = (ok: boolean) => {
      clearTimeout(timer);
      process.off('exit', end);
      end();
      done({ ok, late, output });
    };
    child.once('error', (error) => {
      output += error.message;
      finish(false);
    });
    child.once('close', (code) => finish(code === 0));
  });
}
