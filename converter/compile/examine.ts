import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { bytesText } from '../../backends/bytes_text.ts';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import { BackendError } from '../../backends/error.ts';
import { requirePackages, requirePlots } from '../bundle/require_runtime.ts';
import type { Reporter } from '../terminal/reporter.ts';

/** What of a machine pgconv can use: one thing, and what its absence costs. */
export interface Finding {
  /** `onnx on cpu`, `plots`. */
  readonly what: string;
  readonly state: 'there' | 'missing' | 'low';
  /** What was found, or why it is not there. */
  readonly detail: string;
  /** What cannot be done without it; absent where it is there. */
  readonly costs?: string;
  /** What brings it. */
  readonly hint?: string;
}

/** Room for a 3B in fp16 with its checkpoint beside it. */
const ROOM_BYTES = 12e9;
/** What `verify --memory` takes for a 3B (docs/verification.md). */
const MEMORY_BYTES = 4 * 2 ** 30;

/**
 * Looks at this machine: runtimes of each backend on each device, what opens them, optional packages and programs, room
 * and memory. Opens no bundle and writes nothing; devices that are there are asked for, as GPUs of Dawn.
 */
export async function examine(folder: string, reporter: Reporter, signal?: AbortSignal): Promise<readonly Finding[]> {
  const findings: Finding[] = [
    { what: 'Node', state: 'there', detail: `${process.version} on ${process.platform} ${process.arch}` },
    {
      what: 'processor',
      state: 'there',
      detail: `${cpus()[0]?.model ?? process.arch}, ${availableParallelism()} threads`,
    },
    memoryFinding(),
    await roomFinding(folder),
  ];
  const backends = await Promise.all(backendNames().map(findBackend));
  const devices = backends.flatMap((backend) => backend.devices.map((device) => ({ backend, device })));
  const stage = reporter.stage('look at runtimes and devices', { unit: 'steps', total: devices.length });
  try {
    for (const { backend, device } of devices) {
      signal?.throwIfAborted();
      const what = `${backend.name} on ${device}`;
      const costs = `bundles of --to ${backend.name} are neither verified nor run with --device ${device}`;
      findings.push(
        await found(what, costs, async () => {
          requirePackages([backend], device);
          const name = await backend.ready?.(device);
          return [name, ...backend.packages(device)].filter(Boolean).join(', ') || 'nothing to install';
        }),
      );
      stage.advance(1);
    }
  } finally {
    stage.done();
  }
  findings.push(
    await found('plots', 'pgconv quality and --html cannot draw their pages', async () => {
      requirePlots();
      return 'vega, vega-lite';
    }),
    await ffmpegFinding(),
  );
  return findings;
}

/** What a check says, or what it throws of what is missing. */
async function found(what: string, costs: string, check: () => Promise<string>): Promise<Finding> {
  try {
    return { what, state: 'there', detail: await check() };
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    const { hint } = error.place;
    return { what, state: 'missing', detail: error.message, costs, ...(hint !== undefined && { hint }) };
  }
}

function memoryFinding(): Finding {
  const free = process.availableMemory();
  const detail = `${bytesText(free)} free of ${bytesText(totalmem())}`;
  return free >= MEMORY_BYTES
    ? { what: 'memory', state: 'there', detail }
    : {
        what: 'memory',
        state: 'low',
        detail,
        costs: `verifying a 3B takes ${bytesText(MEMORY_BYTES)}; small models are verified all the same`,
        hint: 'convert with --no-verify here, and verify where there is more',
      };
}

async function roomFinding(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const detail = `${bytesText(free)} free at ${folder}`;
  return free >= ROOM_BYTES
    ? { what: 'disk', state: 'there', detail }
    : {
        what: 'disk',
        state: 'low',
        detail,
        costs: `a 3B and its fp16 bundle take ${bytesText(ROOM_BYTES)}`,
        hint: 'name an --out on another disk',
      };
}

async function ffmpegFinding(): Promise<Finding> {
  const [first] = await promisify(execFile)('ffmpeg', ['-version']).then(
    ({ stdout }) => stdout.split('\n'),
    () => [],
  );
  return first === undefined
    ? {
        what: 'ffmpeg',
        state: 'missing',
        detail: 'it is not on the PATH',
        costs: 'run --frames takes folders of pictures, and no videos',
        hint: 'apt-get install ffmpeg',
      }
    : { what: 'ffmpeg', state: 'there', detail: first.split(' ').slice(0, 3).join(' ') };
}
