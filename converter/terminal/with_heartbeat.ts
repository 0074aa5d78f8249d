import { visible } from '../../ir/text/visible.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { Reporter } from './reporter.ts';
import { doneText } from './units.ts';

/** A reporter whose heartbeat knows which stages are open and how far they are. */
export function withHeartbeat(reporter: Reporter, heartbeat: Heartbeat, now: () => number = Date.now): Reporter {
  let ids = 0;
  return {
    ...reporter,
    stage(label, options) {
      const id = ids++;
      const started = now();
      const stage = reporter.stage(label, options);
      let done = 0;
      heartbeat.tell({ kind: 'opened', id, label: visible(label), at: started });
      return {
        advance(amount, detail) {
          done += amount;
          const text = doneText({ done, seconds: (now() - started) / 1000, ...options, ...detail });
          heartbeat.tell({ kind: 'advanced', id, text: visible(text) });
          stage.advance(amount, detail);
        },
        done(summary) {
          heartbeat.tell({ kind: 'closed', id, at: now() });
          stage.done(summary);
        },
      };
    },
    close() {
      heartbeat.close();
      reporter.close();
    },
  };
}
