import cliProgress from 'cli-progress';
import { visible } from '../errors.ts';
import type { Reporter } from './reporter.ts';
import { bytesText } from '../../backends/bytes_text.ts';
import { progressText, secondsText } from './units.ts';

/** Bars on a terminal, one for each stage under way; notes and warnings stand above them. */
export function barReporter(stream: NodeJS.WriteStream): Reporter {
  const bars = new cliProgress.MultiBar(
    {
      format: '{label} {bar} {percentage} % | {text}',
      stream,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
    },
    cliProgress.Presets.shades_classic,
  );
  let running = 0;
  const line = (text: string) =>
    running > 0 ? bars.log(`${visible(text)}\n`) : void stream.write(`${visible(text)}\n`);
  return {
    stage(label, { unit, total }) {
      const started = performance.now();
      const seconds = () => (performance.now() - started) / 1000;
      let done = 0;
      running++;
      const bar = bars.create(Math.max(1, total), 0, { label: visible(label), text: '' });
      return {
        advance(amount) {
          done += amount;
          bar.update(done, { text: progressText(done, total, seconds(), unit) });
        },
        done(summary) {
          line(
            summary ??
              `${label}: ${unit === 'bytes' ? bytesText(done) : `${done} of ${total}`} in ${secondsText(seconds())}`,
          );
          bars.remove(bar);
          if (--running === 0) bars.stop();
        },
      };
    },
    note: (text) => line(`note: ${text}`),
    warn: (text) => line(`warning: ${text}`),
    close: () => bars.stop(),
  };
}
