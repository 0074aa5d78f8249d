import type { FileEntry } from '../bundle/manifest.ts';
import { BadInputError } from '../errors.ts';
import type { OpenRecording } from './open_recording.ts';

/** Of what a bundle was made; `sha256` is missing before it is known. */
export interface MadeOf {
  /** As a manifest has them: those of the n-th adapter begin with `adapter-n/`. */
  readonly files: readonly (Omit<FileEntry, 'sha256'> & Partial<Pick<FileEntry, 'sha256'>>)[];
  readonly adapters: readonly { readonly scale: number }[];
}

/** Files whose bytes decide what is computed. */
const COUNTS = /\.(safetensors|npz|npy)$|(^|\/)(config|adapter_config)\.json$/;
const WEIGHTS = /\.(safetensors|npz|npy)$/;

/**
 * Nothing for goldens of the fixtures, which do not say whose they are.
 * @throws BadInputError `recording_of_other`, naming the file, when the recording is of another checkpoint or adapter
 */
export function checkSource({ path, description }: Pick<OpenRecording, 'path' | 'description'>, made: MadeOf): void {
  if (!description) return;
  const recorded = [
    ...description.checkpoint.files,
    ...description.adapters.flatMap(({ files }, i) =>
      files.map((file) => ({ ...file, path: `adapter-${i + 1}/${file.path}` })),
    ),
  ];
  const differs = (message: string) =>
    new BadInputError('recording_of_other', message, {
      file: path,
      hint: `record the checkpoint that the bundle was made of, or convert the one that was recorded (${description.checkpoint.path})`,
    });
  const scales = [description.adapters, made.adapters].map((list) => list.map(({ scale }) => scale).join(', '));
  if (scales[0] !== scales[1])
    throw differs(`it was recorded with adapters of strength [${scales[0]}], the bundle has [${scales[1]}]`);
  for (const file of made.files.filter((each) => COUNTS.test(each.path))) {
    const same = recorded.find((each) => each.path === file.path);
    if (!same && WEIGHTS.test(file.path)) throw differs(`"${file.path}" of the bundle’s checkpoint was not recorded`);
    if (same && (same.bytes !== file.bytes || (file.sha256 !== undefined && same.sha256 !== file.sha256)))
      throw differs(`"${file.path}" is not the file that the bundle was made of: its ${reason(same, file)} differs`);
  }
  const unknown = recorded.find(
    (each) => WEIGHTS.test(each.path) && !made.files.some((file) => file.path === each.path),
  );
  if (unknown) throw differs(`"${unknown.path}" was recorded, and the bundle was not made of it`);
}

function reason(recorded: { readonly bytes: number }, made: { readonly bytes: number }): string {
  return recorded.bytes === made.bytes ? 'sha256' : 'size';
}
