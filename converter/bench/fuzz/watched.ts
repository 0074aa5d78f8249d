import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FuzzReport, Problem } from './run_fuzz.ts';

/** What a child is told, as JSON. */
export interface Job {
  readonly reader: string;
  readonly from: number;
  readonly milliseconds: number;
  /** Where it notes each case before it reads it, as text. */
  readonly notes: string;
}

export interface WatchOptions {
  readonly reader: string;
  readonly from: number;
  readonly milliseconds: number;
  /** The program: `child.js` here. */
  readonly child: string;
  /** How long a case may take before its process is ended. */
  readonly patience: number;
}

/** How long a child may take to begin. */
const STARTING = 60_000;

/**
 * Fuzzes in processes of their own: one that hangs is ended, one that dies is replaced, and the case that did it is a
 * problem. @throws Error when they do not start
 */
export async function watched({ milliseconds, from, ...options }: WatchOptions): Promise<FuzzReport> {
  const end = performance.now() + milliseconds;
  let all: FuzzReport = {
    reader: options.reader,
    cases: 0,
    taken: 0,
    refused: new Map(),
    slowestSeconds: 0,
    problems: [],
  };
  for (let next = from; next === from || performance.now() < end;) {
    const left = Math.max(1, end - performance.now());
    const ended = await oneChild({ ...options, from: next, milliseconds: left });
    all =
      'cases' in ended
        ? joined(all, ended)
        : joined(all, { ...all, cases: ended.number + 1 - next, taken: 0, refused: new Map(), problems: [ended] });
    if ('cases' in ended) return all;
    next = ended.number + 1;
  }
  return all;
}

function joined(a: FuzzReport, b: FuzzReport): FuzzReport {
  const refused = new Map(a.refused);
  for (const [code, count] of b.refused) refused.set(code, (refused.get(code) ?? 0) + count);
  return {
    reader: a.reader,
    cases: a.cases + b.cases,
    taken: a.taken + b.taken,
    refused,
    slowestSeconds: Math.max(a.slowestSeconds, b.slowestSeconds),
    problems: [...a.problems, ...b.problems],
  };
}

/** A report, or what ended the child. */
async function oneChild({ reader, from, milliseconds, child, patience }: WatchOptions): Promise<FuzzReport | Problem> {
  const dir = mkdtempSync(join(tmpdir(), 'pgconv-fuzz-'));
  const notes = join(dir, 'case');
  writeFileSync(notes, '');
  const noted = () => readFileSync(notes, 'utf8').trim();
  const job: Job = { reader, from, milliseconds, notes };
  const running = fork(child, [JSON.stringify(job)], { serialization: 'advanced' });
  let report: FuzzReport | undefined;
  running.on('message', (message) => {
    report = message as FuzzReport;
  });
  let [last, since, hangs] = ['', performance.now(), false];
  const watch = setInterval(
    () => {
      const number = noted();
      if (number !== last) [last, since] = [number, performance.now()];
      else if (performance.now() - since > (number === '' ? STARTING : patience) && report === undefined) {
        hangs = true;
        running.kill('SIGKILL');
      }
    },
    Math.min(500, patience / 4),
  );
  try {
    const by = await new Promise<string>((resolve, reject) => {
      running.on('error', reject);
      running.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    if (report !== undefined) return report;
    if (noted() === '') throw new Error(`${child} reads no case of ${reader}: ${by}`);
    return {
      reader,
      number: Number(noted()),
      what: hangs ? `does not end within ${patience / 1000} s` : `ends the process: ${by}`,
    };
  } finally {
    clearInterval(watch);
    rmSync(dir, { recursive: true, force: true });
  }
}
