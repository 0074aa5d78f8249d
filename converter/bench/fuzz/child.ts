import { closeSync, openSync, writeSync } from 'node:fs';
import { READERS } from './readers.ts';
import { fuzz } from './run_fuzz.ts';
import type { Job } from './watched.ts';

/* One reader, in a process of its own, which may hang or die. */

const { reader, notes, ...options } = JSON.parse(process.argv[2]!) as Job;
const file = openSync(notes, 'w');
const report = await fuzz(
  READERS.find(({ name }) => name === reader)!,
  '.',
  {
    ...options,
    onCase(number) {
      writeSync(file, String(number).padEnd(12), 0);
    },
  },
);
closeSync(file);
process.send!(report);
process.disconnect();
