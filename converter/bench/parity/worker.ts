import type { Job, Message } from './job.ts';
import { verifyJob } from './verify_job.ts';

/* A job, given as JSON, in a process of its own: a driver that crashes takes no other with it. */

const tell = (message: Message) =>
  new Promise<void>((resolve, reject) =>
    process.send!(message, (error: Error | null) => (error ? reject(error) : resolve())),
  );

for await (const outcome of verifyJob(JSON.parse(process.argv[2]!) as Job)) await tell({ outcome });
// threads of Dawn and of onnxruntime may still be at work on nothing
process.exit(0);
