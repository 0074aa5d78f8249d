import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it, vi } from 'vitest';
import { UsageError } from '../errors.ts';
import { patternFile, publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import { readManifest, type Manifest } from './manifest.ts';
import { whileChecked } from './while_checked.ts';

const MIB = 1024 * 1024;
const tempFolder = tempFolders();
const { signal } = new AbortController();

let dir = '';
let manifest: Manifest;
beforeEach(async () => {
  dir = join(await tempFolder(), 'out');
  await publishTo(dir, {
    artifactFiles: [patternFile('onnx/graph.onnx', 3000), patternFile('weights.bin', 17 * MIB, 2)],
    manifest: () => testFields,
  });
  manifest = await readManifest(dir);
});

async function flip(path: string): Promise<void> {
  const bytes = await readFile(join(dir, path));
  bytes[bytes.length >> 1]! ^= 32;
  await writeFile(join(dir, path), bytes);
}

const damaged = (path: string) => ({ code: 'bundle_damaged', exitCode: 3, place: { file: join(dir, path) } });

it('gives what was made of a sound bundle', async () => {
  expect(await whileChecked(dir, manifest, { signal }, async () => 'an answer')).toBe('an answer');
});

it('begins with nothing when a graph is damaged, or a file is missing', async () => {
  const work = vi.fn<() => Promise<void>>(async () => {});
  await flip('onnx/graph.onnx');
  await expect(whileChecked(dir, manifest, { signal }, work)).rejects.toMatchObject(damaged('onnx/graph.onnx'));
  await rm(join(dir, 'onnx/graph.onnx'));
  await expect(whileChecked(dir, manifest, { signal }, work)).rejects.toMatchObject(damaged('onnx/graph.onnx'));
  expect(work).not.toHaveBeenCalled();
  expect(await whileChecked(dir, manifest, { signal, check: false }, async () => 'unseen')).toBe('unseen');
});

it('gives nothing of damaged weights, whatever came of them, and tells the work to stop', async () => {
  await flip('weights.bin');
  const told = vi.fn<() => void>();
  const answers = async (stopped: AbortSignal) => stopped.addEventListener('abort', told);
  await expect(whileChecked(dir, manifest, { signal }, answers)).rejects.toMatchObject(damaged('weights.bin'));
  expect(told).toHaveBeenCalledOnce();
  const waits = (stopped: AbortSignal) =>
    new Promise<never>((_, reject) => stopped.addEventListener('abort', () => reject(stopped.reason as Error)));
  await expect(whileChecked(dir, manifest, { signal }, waits)).rejects.toMatchObject(damaged('weights.bin'));
  const fails = () => Promise.reject(new Error('the runtime failed'));
  await expect(whileChecked(dir, manifest, { signal }, fails)).rejects.toMatchObject(damaged('weights.bin'));
  expect(await whileChecked(dir, manifest, { signal, check: false }, async () => 'unseen')).toBe('unseen');
});

it('a failure that no weight is to blame for is told at once; any other when the weights are known to be right', async () => {
  const usage = new UsageError('not_found', 'there is no picture', {});
  await expect(whileChecked(dir, manifest, { signal }, () => Promise.reject(usage))).rejects.toBe(usage);
  const other = new Error('the runtime failed');
  await expect(whileChecked(dir, manifest, { signal }, () => Promise.reject(other))).rejects.toBe(other);
});

it('ends when it is interrupted', async () => {
  const stop = new AbortController();
  const work = () => (stop.abort(), Promise.resolve());
  await expect(whileChecked(dir, manifest, { signal: stop.signal }, work)).rejects.toMatchObject({ exitCode: 130 });
});
