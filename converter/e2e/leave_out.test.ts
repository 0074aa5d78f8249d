import { shellWord } from '../../ir/text/shell_word.ts';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tensorData, tensorOf } from '../../ir/tensor.ts';
import { readManifest } from '../bundle/manifest.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { convert } from '../compile/convert.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { openModel } from '../models/open_model.ts';
import { silentReporter } from '../terminal/reporter.ts';

/* What nobody knows is an error; left out by name it is recorded, and told again by whoever verifies. */

const EXTRA = 'depth_head.weight';
let root: string;
let checkpoint: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-leave-'));
  checkpoint = join(root, 'checkpoint');
  await cp('fixtures/pg1-tiny/hf', checkpoint, {
    recursive: true,
    filter: (path) => !path.includes('model'),
  });
  const base = await openCheckpoint('fixtures/pg1-tiny/hf');
  const extra = { name: EXTRA, data: tensorData(tensorOf('f32', [2, 3], [1, 2, 3, 4, 5, 6])) };
  await writeSafetensors(join(checkpoint, 'model.safetensors'), [
    ...[...base.tensors].map(([name, data]) => ({ name, data })),
    extra,
  ]);
  await base.close();
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('a tensor that nobody knows is refused by name, shape and place', async () => {
  await expect(openModel({ checkpoint })).rejects.toMatchObject({
    code: 'unaccounted',
    message: expect.stringContaining(`"${EXTRA}" [2, 3]`),
    place: {
      file: join(checkpoint, 'model.safetensors'),
      tensor: EXTRA,
      offset: expect.any(Number),
      hint: expect.stringContaining(`--leave-out ${shellWord(EXTRA)}`),
    },
  });
  await expect(openModel({ checkpoint, leaveOut: ['depth_head.*', 'lm_head.*'] })).rejects.toMatchObject({
    code: 'nothing_left_out',
  });
});

test('left out by name it is in the manifest, and verification says so', async () => {
  const out = join(root, 'bundle');
  await convert(
    { checkpoint, backend: 'onnx', precision: 'fp32', out, leaveOut: ['depth_head.*'], verify: false },
    silentReporter,
  );
  const manifest = await readManifest(out);
  expect(manifest.options.leaveOut).toEqual(['depth_head.*']);
  expect(manifest.ledger).toContainEqual({ file: 'model.safetensors', tensor: EXTRA, leftOut: 'asked' });
  expect(manifest.ledger.filter(({ used }) => used?.[0] === 'lm.norm')).toHaveLength(1);
  const said: string[] = [];
  const report = await verifyBundle({ bundle: out }, { ...silentReporter, warn: (text) => said.push(text) });
  expect(report.passed).toBe(true);
  expect(said).toEqual([expect.stringMatching(new RegExp(`--leave-out.*${EXTRA}`))]);
});
