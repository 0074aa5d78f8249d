import { spawn } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeTempFolder, removePath } from '../disk.js';
import { BadInputError, UsageError } from '../errors.ts';
import { isPicture } from './is_picture.ts';

export interface Frames {
  /** Paths of pictures, in their order. */
  readonly files: readonly string[];
  /** Removes what was unpacked. */
  dispose(): Promise<void>;
}

/**
 * Every n-th picture of a folder, by their names (frame2 before frame10), or every n-th frame of a video, which the
 * system's ffmpeg unpacks.
 * @param options.most frames of a video that are unpacked: where there are more, so many are given
 * @throws UsageError `no_frames`, `ffmpeg_missing`; BadInputError `bad_video` with what ffmpeg says
 */
export async function framesOf(
  path: string,
  every: number,
  { most = Infinity, signal }: { readonly most?: number; readonly signal?: AbortSignal } = {},
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
    await unpack(resolve(path), { every, most, signal }, dir);
    return { files: nth(path, await picturesIn(dir), 1), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function picturesIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => isPicture(name) && !name.startsWith('.'));
  return names.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).map((name) => join(folder, name));
}

function nth(path: string, files: readonly string[], every: number): readonly string[] {
  if (files.length > 0) return files.filter((_, i) => i % every === 0);
  throw new UsageError('no_frames', 'it has no pictures', {
    file: path,
    hint: 'name with --frames a folder of PNG, JPEG or WebP files, or a video',
  });
}

interface Unpacking {
  readonly every: number;
  readonly most: number;
  readonly signal: AbortSignal | undefined;
}

/** When this has ended, however it did, nothing writes to `dir` any more. */
function unpack(video: string, { every, most, signal }: Unpacking, dir: string): Promise<void> {
  // a playlist may name addresses: files alone are opened
  const input = ['-protocol_whitelist', 'file', '-i', `file:${video}`];
  const limit = Number.isFinite(most) ? ['-frames:v', `${most}`] : [];
  const picked = ['-vf', `select=not(mod(n\\,${every}))`, '-vsync', 'vfr', ...limit];
  const args = ['-nostdin', '-v', 'error', ...input, ...picked, join(dir, '%06d.png')];
  return new Promise((done, fail) => {
    const ffmpeg = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const stop = () => void ffmpeg.kill('SIGKILL');
    signal?.addEventListener('abort', stop, { once: true });
    let said = '';
    ffmpeg.stderr.on('data', (bytes: Buffer) => (said = `${said}${bytes.toString()}`.slice(-2000)));
    ffmpeg.on('error', (error) => fail(missing(video, error)));
    ffmpeg.on('close', (code, killedBy) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) fail(signal.reason as Error);
      else if (code === 0) done();
      else fail(unreadable(video, said.trim() || `it ended with ${killedBy ?? code}`));
    });
    if (signal?.aborted) stop();
  });
}

function unreadable(video: string, said: string): BadInputError {
  return new BadInputError('bad_video', `ffmpeg cannot unpack it: ${said}`, {
    file: video,
    hint: 'name a video that ffmpeg reads, or a folder of its frames',
  });
}

function missing(video: string, cause: Error): UsageError {
  return new UsageError(
    'ffmpeg_missing',
    `frames of a video are unpacked by ffmpeg, which does not start: ${cause.message}`,
    {
      file: video,
      hint: 'install ffmpeg (apt-get install ffmpeg), or unpack them yourself and name the folder',
    },
    { cause },
  );
}
