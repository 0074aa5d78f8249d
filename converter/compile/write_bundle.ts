import { basename } from 'node:path';
import { bytesText } from '../../backends/bytes_text.ts';
import { hashSources } from '../bundle/hash_sources.ts';
import type { Manifest } from '../bundle/manifest.ts';
import type { KeptFiles } from '../bundle/output_folder.ts';
import type { Undertaking } from '../bundle/journal.ts';
import { publishBundle, type Amended, type PublishedBundle } from '../bundle/publish.ts';
import { sourceFiles } from '../models/open_model.ts';
import type { Reporter, Stage } from '../terminal/reporter.ts';
import { plainEntry } from '../models/ledger/ledger.ts';
import { TOOL } from '../version.ts';
import type { EmittedBundle } from './emit_bundle.ts';
import { beforeChecks } from './before_checks.ts';
import type { Conversion } from './open_conversion.ts';
import type { PreparedPrograms } from './prepare_programs.ts';

/** What is written, and what that is for a run that goes on with it. */
export interface WrittenFiles extends Pick<EmittedBundle, 'files' | 'notes'>, Pick<PreparedPrograms, 'chosenByData'> {
  readonly resume: Pick<Undertaking, 'command' | 'sources'>;
  /** How matrices are stored that are not in the precision's own codes. */
  readonly storage: PreparedPrograms['storage'];
}

/**
 * Writes a bundle as a stream, while the files of the checkpoint are hashed, and puts it in place when `check` has
 * nothing against it.
 * @throws what publishBundle throws; BadInputError when the checkpoint changed meanwhile
 */
export async function writeBundle(
  conversion: Conversion,
  { files, notes, storage, chosenByData, resume }: WrittenFiles,
  check: (dir: string, manifest: Manifest) => Promise<Amended | undefined>,
  reporter: Reporter,
): Promise<PublishedBundle> {
  const { options, claim, source, backend, recorded } = conversion;
  const out = claim.folder.path;
  if (claim.recovered) tellKept(claim.recovered, out, reporter);
  const { signal } = options;
  const stopHashing = new AbortController();
  const either = signal ? AbortSignal.any([signal, stopHashing.signal]) : stopHashing.signal;
  const hashing = { total: 0, read: 0, stage: undefined as Stage | undefined };
  const hashes = hashSources(sourceFiles(source), source.inputs, {
    signal: either,
    onTotal: (bytes) => (hashing.total = bytes),
    onRead(bytes) {
      hashing.read += bytes;
      hashing.stage?.advance(bytes);
    },
  });
  hashes.catch(() => {});
  const total = files.reduce((sum, file) => sum + file.byteLength, 0);
  const writing = reporter.stage(`write ${basename(out)}`, { unit: 'bytes', total });
  let written = 0;
  let replacing: Stage | undefined;
  try {
    const published = await publishBundle({
      artifactFiles: files,
      claim,
      resume,
      anew: options.resume === false,
      strict: recorded.strict,
      allowOverflow: recorded.allowOverflow,
      ...(signal && { signal }),
      on: {
        uncompared: (dir) =>
          reporter.warn(
            `nothing was compared, so the output is as it was: the new bundle is ${dir}, for you to verify or to remove`,
          ),
        resumed: (bytes) =>
          reporter.note(
            `going on where an earlier run ended: ${bytesText(bytes)} were written, and are compared as they are read; --no-resume begins anew`,
          ),
        leftover: (why, bytes) => reporter.note(`${bytesText(bytes)} of an earlier run are removed, for ${why}`),
        damaged: (path, bytes) =>
          reporter.warn(`${path}: ${bytesText(bytes)} are not what an earlier run wrote, and are written again`),
        unfinished: (dir, bytes) =>
          reporter.warn(
            `${bytesText(bytes)} are kept in ${dir}: the same command goes on there, and pgconv clean removes them`,
          ),
        progress: (bytes) => {
          writing.advance(bytes - written);
          written = bytes;
        },
        replacing: (total) => {
          replacing = reporter.stage('compare what is replaced with its manifest', { unit: 'bytes', total });
        },
        compared: (bytes) => replacing?.advance(bytes),
      },
      manifest: async () => {
        writing.done();
        // beside the writing it is no stage: it is over first, but for a small bundle of a large checkpoint
        if (hashing.read < hashing.total) {
          hashing.stage = reporter.stage('hash the checkpoint', { unit: 'bytes', total: hashing.total });
          hashing.stage.advance(hashing.read);
        }
        const hashed = await hashes;
        hashing.stage?.done();
        await source.checkUnchanged();
        return {
          tool: TOOL,
          backend: backend.name,
          precision: options.precision,
          options: recorded,
          source: { format: source.checkpoint.format, files: hashed },
          program: source.model.program.metadata,
          ...(storage && { storage }),
          ledger: source.ledger.map(plainEntry),
          inferences: [...source.model.inferences],
          notes: [...notes],
          ...(chosenByData && { chosenByData }),
          verification: beforeChecks(conversion),
        };
      },
      beforePublish: async (dir, manifest) => {
        // what verified it read the inputs as well: where they changed, its verdict says nothing
        const amended = await check(dir, manifest).catch(async (error: unknown) => {
          throw await source.inputs.causeOf(error);
        });
        await source.checkUnchanged();
        return amended;
      },
    });
    replacing?.done();
    if (published.kept) tellKept(published.kept, out, reporter);
    return published;
  } finally {
    stopHashing.abort();
  }
}

/** --force removes bundles, and nothing else that lies in their folder. */
function tellKept({ inPlace, aside }: KeptFiles, out: string, reporter: Reporter): void {
  if (inPlace.length > 0)
    reporter.warn(
      `kept in ${basename(out)}, for they were no part of the bundle that was replaced: ${listed(inPlace)}`,
    );
  if (aside)
    reporter.warn(
      `kept in ${aside.dir}, for they were changed since that bundle was written, or the new one has files of their names: ${listed(aside.files)}`,
    );
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
