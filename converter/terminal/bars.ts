import cliProgress from 'cli-progress';
import { visible } from '../../ir/text/visible.ts';
import type { Reporter, StageDetail } from './reporter.ts';
import { overText, progressText, secondsText } from './units.ts';

/** Takes away the line of the heartbeat, which ends in no line end. */
const CLEAR = '\r\u001b[2K';
/** Bars move at least so often, in milliseconds: their time runs. */
const REDRAW_MS = 1000;

/**
 * Bars on a terminal, one for each stage under way; notes and warnings stand above them. `onDrawn` hears when something
 * moved.
 */
export function barReporter(stream: NodeJS.WritableStream, onDrawn: () => void = () => {}): Reporter {
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
  let closed = false;
  const clocks = new Set<NodeJS.Timeout>();
  const line = (text: string) => {
    onDrawn();
    if (running > 0 && !closed) bars.log(`${visible(text)}\n`);
    else stream.write(`${closed ? '' : CLEAR}${visible(text)}\n`);
  };
  return {
    stage(label, { unit, total }) {
      const started = performance.now();
      const seconds = () => (performance.now() - started) / 1000;
      let done = 0;
      running++;
      const bar = bars.create(
        Math.max(1, total),
        0,
        { label: visible(label), text: '' },
        unit === 'wait' ? { format: '{label}{text}' } : {},
      );
      let detail: StageDetail | undefined;
      let told = started;
      const draw = () => {
        if (closed) return;
        const text = progressText({
          done,
          total,
          seconds: seconds(),
          unit,
          ...agedBy(detail, performance.now() - told),
        });
        bar.update(done, { text: unit === 'wait' ? `, for ${secondsText(seconds())}${text && `: ${text}`}` : text });
      };
      if (unit === 'wait') draw();
      const clock = setInterval(() => {
        draw();
        onDrawn();
      }, REDRAW_MS).unref();
      clocks.add(clock);
      return {
        advance(amount, given) {
          done += amount;
          detail = given;
          told = performance.now();
          draw();
        },
        done(summary) {
          clearInterval(clock);
          clocks.delete(clock);
          if (closed) return;
          const over = summary ?? overText(label, { unit, total, done, seconds: seconds() });
          if (over !== undefined) line(over);
          bars.remove(bar);
          if (--running === 0) bars.stop();
        },
      };
    },
    note: (text) => line(`note: ${text}`),
    warn: (text) => line(`warning: ${text}`),
    close() {
      // what is written from here on, as an answer piece by piece, is nobody's line to take away
      if (closed) return;
      closed = true;
      for (const clock of clocks) clearInterval(clock);
      bars.stop();
      stream.write(CLEAR);
    },
  };
}

/** Time that was left some milliseconds ago; of what has taken longer by now, nobody knows. */
function agedBy(detail: StageDetail | undefined, milliseconds: number): StageDetail | undefined {
  if (detail?.secondsLeft === undefined) return detail;
  const { secondsLeft, isLeast, ...rest } = detail;
  const left = secondsLeft - milliseconds / 1000;
  return left < 0 ? rest : { ...rest, secondsLeft: left, ...(isLeast !== undefined && { isLeast }) };
}
