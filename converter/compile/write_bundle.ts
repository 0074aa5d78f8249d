import { basename } from 'node:path';
import { hashSources } from '../bundle/hash_sources.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { publishBundle, type PublishedBundle } from '../bundle/publish.ts';
import { sourceFiles } from '../models/open_model.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { plainEntry } from '../models/ledger/ledger.ts';
import { TOOL } from '../version.ts';
import type { EmittedBundle } from './emit_bundle.ts';
import type { Conversion } from './open_conversion.ts';

/**
 * Writes a bundle as a stream, while the files of the checkpoint are hashed, and puts it in place when `check` has
 * nothing against it.
 * @throws what publishBundle throws; BadInputError when the checkpoint changed meanwhile
 */
export async function writeBundle(
  conversion: Conversion,
  { files, notes }: EmittedBundle,
  check: (dir: string, manifest: Manifest) => Promise<void>,
  reporter: Reporter,
): Promise<PublishedBundle> {
  const { options, out, source, backend, recorded } = conversion;
  const { signal } = options;
  const stopHashing = new AbortController();
  const either = signal ? AbortSignal.any([signal, stopHashing.signal]) : stopHashing.signal;
  const hashes = hashSources(sourceFiles(source), { signal: either });
  hashes.catch(() => {});
  const total = files.reduce((sum, file) => sum + file.byteLength, 0);
  const writing = reporter.stage(`write ${basename(out)}`, { unit: 'bytes', total });
  let written = 0;
  try {
    return await publishBundle({
      artifactFiles: files,
      outDir: out,
      force: options.force ?? false,
      strict: recorded.strict,
      allowOverflow: recorded.allowOverflow,
      ...(signal && { signal }),
      onKept: (dir) =>
        reporter.warn(
          `nothing was compared: the bundle is kept as ${dir}, for pgconv verify, and is in nobody's place`,
        ),
      onProgress: (bytes) => {
        writing.advance(bytes - written);
        written = bytes;
      },
      manifest: async () => {
        writing.done();
        const hashed = await hashes;
        await source.checkUnchanged();
        return {
          tool: TOOL,
          backend: backend.name,
          precision: options.precision,
          options: recorded,
          source: { format: source.checkpoint.format, files: hashed },
          program: source.model.program.metadata,
          ledger: source.ledger.map(plainEntry),
          inferences: [...source.model.inferences],
          notes: [...notes],
        };
      },
      beforePublish: check,
    });
  } finally {
    stopHashing.abort();
  }
}
