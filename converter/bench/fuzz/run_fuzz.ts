import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuntimeError } from '../../../backends/client/errors.ts';
import { PictureError } from '../../../backends/client/images/decode_picture.ts';
import { BackendError } from '../../../backends/error.ts';
import { PlanError } from '../../../backends/tfjs/plan.ts';
import { ManifestError } from '../../../backends/wgsl/bundle/manifest_error.ts';
import { IrError, IrTypeError } from '../../../ir/error.ts';
import { VerifyError } from '../../../verify/error.ts';
import { PgconvError } from '../../errors.ts';
import { mutated } from './mutate.ts';
import { randomFrom } from './random.ts';
import { scratchFolder, type Reader } from './readers.ts';

/** The most that a case may take. */
export const MOST_SECONDS = 5;
export const MOST_BYTES = 512 * 1024 * 1024;

/** What a reader did that it must not do. */
export interface Problem {
  readonly reader: string;
  /** By which the case is made again. */
  readonly number: number;
  readonly what: string;
}

export interface FuzzReport {
  readonly reader: string;
  readonly cases: number;
  readonly taken: number;
  /** How many cases were refused by which code. */
  readonly refused: ReadonlyMap<string, number>;
  readonly slowestSeconds: number;
  readonly problems: readonly Problem[];
}

export interface FuzzOptions {
  /** The first number; cases follow from their numbers. */
  readonly from: number;
  readonly milliseconds: number;
  /** Hears of each case before it is read, so that one that never ends is known. */
  readonly onCase?: (number: number) => void;
}

/** Errors that say what is wrong with a file, and the code of each. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof PgconvError || error instanceof VerifyError || error instanceof RuntimeError) return error.code;
  if (error instanceof BackendError || error instanceof PictureError) return error.code;
  if (error instanceof PlanError || error instanceof ManifestError) return error.code;
  return error instanceof IrError || error instanceof IrTypeError ? 'ir' : undefined;
}

/** The seeds of a reader: those that it names, and what lies in its folder. */
export function seedsOf({ name, seeds = [] }: Reader, root: string): readonly Uint8Array[] {
  const folder = join(root, 'fixtures/fuzz', name);
  const own = existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
  const found = [...own.toSorted(), ...seeds.map((path) => join(root, path))].map((path) => readFileSync(path));
  if (found.length === 0) throw new Error(`${folder}: no seed`);
  return found;
}

/** A case by its number: of the seeds, and of what was kept since. */
export function caseOf(reader: Reader, seeds: readonly Uint8Array[], number: number): Uint8Array {
  const bytes = mutated(seeds, number);
  // also as they are: what checks the hash itself
  return reader.mend && randomFrom(~number)() < 0.9 ? reader.mend(bytes, seeds[0]!) : bytes;
}

/** Gives a reader changed files for a while, and looks at what comes of each. */
export async function fuzz(reader: Reader, root: string, options: FuzzOptions): Promise<FuzzReport> {
  const { from, milliseconds, onCase } = options;
  const seeds = seedsOf(reader, root);
  const scratch = scratchFolder(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const refused = new Map<string, number>();
  const problems: Problem[] = [];
  let [taken, number, slowest] = [0, from, 0];
  const tell = (what: string) => problems.push({ reader: reader.name, number, what });
  try {
    for (const end = performance.now() + milliseconds; performance.now() < end; number++) {
      onCase?.(number);
      const bytes = caseOf(reader, seeds, number);
      const before = process.memoryUsage.rss();
      const [start, used] = [performance.now(), process.cpuUsage()];
      try {
        await reader.read(bytes, scratch.dir);
        taken++;
      } catch (error) {
        const code = codeOf(error);
        if (code === undefined) tell(`not a typed error: ${(error as Error)?.stack ?? String(error)}`);
        refused.set(code ?? '?', (refused.get(code ?? '?') ?? 0) + 1);
      }
      // of its own: beside others at work, it waits
      const { user, system } = process.cpuUsage(used);
      const seconds = Math.min(performance.now() - start, (user + system) / 1000) / 1000;
      slowest = Math.max(slowest, seconds);
      if (seconds > MOST_SECONDS) tell(`${seconds.toFixed(1)} s`);
      const grown = process.memoryUsage.rss() - before;
      if (grown > MOST_BYTES) tell(`${Math.round(grown / 1e6)} MB of memory`);
    }
  } finally {
    scratch.remove();
  }
  return { reader: reader.name, cases: number - from, taken, refused, slowestSeconds: slowest, problems };
}
