import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { framesOf } from './frames.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgconv-frames-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const names = (files: readonly string[]) => files.map((file) => basename(file));

test('pictures of a folder by their numbers, every n-th, and nothing else', async () => {
  for (const name of [
    '.frame0.png',
    '._frame1.png',
    'frame10.png',
    'frame2.png',
    'frame1.png',
    'notes.txt',
    'frame3.JPG',
  ])
    await writeFile(join(dir, name), '');
  expect(names((await framesOf(dir, 1)).files)).toEqual(['frame1.png', 'frame2.png', 'frame3.JPG', 'frame10.png']);
  expect(names((await framesOf(dir, 3)).files)).toEqual(['frame1.png', 'frame10.png']);
});

test.each(['nothing there', 'an empty folder'])('%s is refused', async (what) => {
  const path = join(dir, 'x');
  if (what === 'an empty folder') await mkdir(path);
  await expect(framesOf(path, 1)).rejects.toMatchObject({ code: 'no_frames', exitCode: 2, place: { file: path } });
});

/** A program of the name ffmpeg, which is asked as the real one is. */
async function asFfmpeg(script: string): Promise<string> {
  const bin = join(dir, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'ffmpeg'), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, 'ffmpeg'), 0o755);
  vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  const video = join(dir, '-clip.mp4');
  await writeFile(video, '');
  return video;
}

const unpacked = async () => (await readdir(tmpdir())).filter((name) => /^pgconv-frames-(?!test)/.test(name));

test('a video is unpacked by ffmpeg, from files alone, and what it unpacked is removed', async () => {
  const asked = join(dir, 'asked');
  const video = await asFfmpeg(
    `printf '%s\\n' "$@" > '${asked}'; for last; do :; done; d=$(dirname "$last"); touch "$d/000002.png" "$d/000001.png"`,
  );
  const before = await unpacked();
  const frames = await framesOf(video, 5, { most: 9 });
  expect(names(frames.files)).toEqual(['000001.png', '000002.png']);
  const args = (await readFile(asked, 'utf8')).split('\n');
  expect(args).toEqual(expect.arrayContaining([`file:${video}`, 'select=not(mod(n\\,5))', 'file', '-frames:v', '9']));
  await frames.dispose();
  expect(await unpacked()).toEqual(before);
});

test('what ffmpeg cannot read is an error with its words, and leaves nothing', async () => {
  const video = await asFfmpeg(`echo 'moov atom not found' >&2; exit 1`);
  const before = await unpacked();
  await expect(framesOf(video, 1)).rejects.toMatchObject({
    code: 'bad_video',
    message: expect.stringContaining('moov atom not found'),
  });
  expect(await unpacked()).toEqual(before);
});

test('one that ends without a word says how', async () => {
  await expect(framesOf(await asFfmpeg('kill -9 $$'), 1)).rejects.toMatchObject({
    message: 'ffmpeg cannot unpack it: it ended with SIGKILL',
  });
});

test('one that is stopped is ended, whatever it makes of that, and leaves nothing', async () => {
  const video = await asFfmpeg(`trap '' TERM INT; while :; do sleep 0.05; done`);
  const before = await unpacked();
  const stop = new AbortController();
  const reason = new Error('the user left');
  const frames = framesOf(video, 1, { signal: stop.signal });
  setTimeout(() => stop.abort(reason), 100);
  await expect(frames).rejects.toBe(reason);
  expect(await unpacked()).toEqual(before);
});

test.each(['not there', 'not to be run'])('with ffmpeg %s the way out is said', async (what) => {
  const video = await asFfmpeg('');
  if (what === 'not there') vi.stubEnv('PATH', dir);
  else {
    await chmod(join(dir, 'bin', 'ffmpeg'), 0o644);
    vi.stubEnv('PATH', join(dir, 'bin'));
  }
  await expect(framesOf(video, 1)).rejects.toMatchObject({ code: 'ffmpeg_missing', exitCode: 2 });
});
