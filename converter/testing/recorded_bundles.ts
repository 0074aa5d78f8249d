import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Precision } from '../../verify/tolerances.ts';
import { readManifest } from '../bundle/manifest.ts';
import { convert, type ConvertResult } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { recordingOf, writeRecording, type MadeRecording } from './recording_writer.ts';

export interface RecordedBundles {
  /** A path in a folder that is gone when the tests of the file end. */
  place(name: string): string;
  /** A bundle of a fixture that no checkpoint judges: at most `options.against`, a recording. */
  converted(
    fixture: string,
    backend: string,
    precision: Precision,
    options?: Partial<ConvertOptions>,
  ): Promise<ConvertResult>;
  /** The goldens of a fixture as a recording of the checkpoint that a bundle was made of. */
  recorded(fixture: string, bundle: string, change?: (recording: MadeRecording) => void): Promise<string>;
}

/** Bundles of the tiny checkpoints, and what original implementations said of these. */
export function recordedBundles(): RecordedBundles {
  let root: string;
  let made = 0;
  const place = (name: string) => join(root, `${name}-${made++}`);
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pgconv-recorded-'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  return {
    place,
    converted: (fixture, backend, precision, options = {}) =>
      convert(
        { checkpoint: `fixtures/${fixture}/hf`, backend, precision, verify: false, out: place('bundle'), ...options },
        silentReporter,
      ),
    recorded: async (fixture, bundle, change = () => {}) => {
      const { files } = (await readManifest(bundle)).source;
      const recording = await recordingOf(`fixtures/${fixture}`, files);
      change(recording);
      return writeRecording(root, recording, `recording-${made++}`);
    },
  };
}

/** The first number of a tensor far from what was recorded. */
export function spoil({ tensors }: MadeRecording, name: string): void {
  const { dtype, shape, data } = tensors.get(name)!;
  tensors.set(name, { dtype, shape, data: data.with(0, data[0]! + 1) });
}
