import type { Reporter } from './reporter.ts';
import { overText, progressText } from './units.ts';

/** Time between two lines of one stage: a log stays short. */
const INTERVAL_MS = 5000;

/** Plain lines, for logs: a stage speaks when it starts to take long and when it is over. */
export function lineReporter(write: (line: string) => void, now: () => number = () => performance.now()): Reporter {
  return {
    stage(label, { unit, total }) {
      const started = now();
      let done = 0;
      let told = started;
      return {
        advance(amount, detail) {
          done += amount;
          if (now() - told < INTERVAL_MS) return;
          told = now();
          write(`${label}: ${progressText({ done, total, seconds: (told - started) / 1000, unit, ...detail })}`);
        },
        done(summary) {
          const line = summary ?? overText(label, { unit, total, done, seconds: (now() - started) / 1000 });
          if (line !== undefined) write(line);
        },
      };
    },
    note: (text) => write(`note: ${text}`),
    warn: (text) => write(`warning: ${text}`),
    close() {},
  };
}
