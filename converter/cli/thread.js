// @ts-check
// The thread in which a command runs. Plain JavaScript: it is loaded by its address, which the compiler does not turn.
import { WriteStream } from 'node:tty';
import { parentPort, workerData } from 'node:worker_threads';
import { InterruptedError } from '../errors.ts';
import { main } from './main.ts';

const port = parentPort;
if (!port) throw new Error('thread.js runs as a worker thread');

const { args, terminals } = /** @type {import('./in_thread.ts').ThreadData} */ (workerData);
const stop = new AbortController();
port.on('message', (/** @type {import('./in_thread.ts').StopRequest} */ request) => {
  stop.abort(new InterruptedError(request.stop));
});
// it does not keep the thread
port.unref();

process.exitCode = await main(args, {
  out: terminals.out ? new WriteStream(1) : process.stdout,
  err: terminals.err ? new WriteStream(2) : process.stderr,
  signal: stop.signal,
});
