// @ts-check
// The thread that speaks while the process computes and cannot: an op of the evaluator, a session that opens, a run of
// a runtime hold the main thread for longer than anybody likes to wait for a sign of life.
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Beats } from './beats.js';

/** @typedef {import('./beats.js').Beat} Beat */

const port = parentPort;
if (!port) throw new Error('heartbeat_worker.js runs as a worker thread');
/** @typedef {import('./heartbeat.ts').HeartbeatOptions} HeartbeatOptions */

const { isTerminal, file = 2, silence, look = 1000 } = /** @type {HeartbeatOptions} */ (workerData);
const beats = new Beats(Date.now(), silence);
port.on('message', (/** @type {Beat} */ beat) => beats.hear(beat));
setInterval(() => {
  const line = beats.due(Date.now());
  if (line === undefined) return;
  try {
    // on a terminal it takes the place of what moves, and leaves the cursor where others begin
    writeSync(file, isTerminal ? `\r\u001b[2K${line}\r` : `${line}\n`);
  } catch {
    // a pipe that is full or closed: nobody reads it now
  }
}, look);
