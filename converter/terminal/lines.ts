import type { Reporter } from './reporter.ts';
import { bytesText } from '../../backends/bytes_text.ts';
import { progressText, secondsText } from './units.ts';

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
        advance(amount) {
          done += amount;
          if (now() - told < INTERVAL_MS) return;
          told = now();
          write(`${label}: ${progressText(done, total, (told - started) / 1000, unit)}`);
        },
        done: (summary) =>
          write(
            summary ??
              `${label}: ${unit === 'bytes' ? bytesText(done) : `${done} of ${total}`} in ${secondsText((now() - started) / 1000)}`,
          ),
      };
    },
    note: (text) => write(`note: ${text}`),
    warn: (text) => write(`warning: ${text}`),
    close() {},
  };
}
