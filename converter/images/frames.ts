import { spawn } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeTempFolder, removePath } from '../disk.js';
import { BadInputError, UsageError } from '../errors.ts';
import { isPicture } from './is_picture.ts';

/** More than any model has positions for: a video of an hour is not unpacked to find that out. */
const MOST_FRAMES = 1024;

export interface Frames {
  /** Paths of pictures, in their order. */
  readonly files: readonly string[];
  /** Removes what was unpacked. */
  dispose(): Promise<void>;
}

/**
 * Every n-th picture of a folder, by their names (frame2 before frame10), or every n-th frame of a video, which the
 * system's ffmpeg unpacks.
 * @throws UsageError `no_frames`, `ffmpeg_missing`; BadInputError `bad_video` with what ffmpeg says
 */
export async function framesOf(
  path: string,
  every: number,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Frames> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return { files: nth(path, await picturesIn(path), every), dispose: async () => {} };
  if (!found?.isFile())
    throw new UsageError('no_frames', 'there is no folder of pictures, nor a video', {
      file: path,
      hint: 'name with --frames a folder of pictures, or a video',
    });
  const dir = await makeTempFolder(join(tmpdir(), 'pgconv-frames-'));
  const dispose = () => removePath(dir).catch(() => {});
  try {
    await unpack(resolve(path), every, dir, signal);
    return { files: nth(path, await picturesIn(dir), 1), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function picturesIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => isPicture(name));
  return names.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).map((name) => join(folder, name));
}

function nth(path: string, files: readonly string[], every: number): readonly string[] {
  if (files.length > 0) return files.filter((_, i) => i % every === 0);
  throw new UsageError('no_frames', 'it has no pictures', {
    file: path,
    hint: 'name with --frames a folder of PNG, JPEG or WebP files, or a video',
  });
}

function unpack(video: string, every: number, dir: string, signal: AbortSignal | undefined): Promise<void> {
  // a playlist may name addresses: files alone are opened
  const input = ['-protocol_whitelist', 'file', '-i', `file:${video}`];
  const picked = ['-vf', `select=not(mod(n\\,${every}))`, '-vsync', 'vfr', '-frames:v', `${MOST_FRAMES}`];
  const args = ['-nostdin', '-v', 'error', ...input, ...picked, join(dir, '%06d.png')];
  return new Promise((done, fail) => {
    const ffmpeg = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'pipe'], ...(signal && { signal }) });
    let said = '';
    ffmpeg.stderr.on('data', (bytes: Buffer) => (said = `${said}${bytes.toString()}`.slice(-2000)));
    ffmpeg.on('error', (error: NodeJS.ErrnoException) => fail(error.code === 'ENOENT' ? missing(video) : error));
    ffmpeg.on('close', (code) =>
      code === 0
        ? done()
        : fail(
            new BadInputError('bad_video', `ffmpeg cannot unpack it: ${said.trim()}`, {
              file: video,
              hint: 'name a video that ffmpeg reads, or a folder of its frames',
            }),
          ),
    );
  });
}

function missing(video: string): UsageError {
  return new UsageError('ffmpeg_missing', 'frames of a video are unpacked by ffmpeg, which is not here', {
    file: video,
    hint: 'install ffmpeg (apt-get install ffmpeg), or unpack them yourself and name the folder',
  });
}
