import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openHuggingFace } from './huggingface.ts';
import { expectRefusal } from './testing/expect_refusal.ts';
import { rawSafetensors } from './testing/raw_safetensors.ts';
import { tempFolder } from './testing/temp_folder.ts';

const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;

test('tensors of dtypes that the IR lacks are listed apart, in shards too, and may not contradict each other', async () => {
  const folder = tempFolder({
    'model.safetensors.index.json': JSON.stringify({
      metadata: { total_size: 36 },
      weight_map: {
        'm.layers.0.w': SHARDS[0],
        'm.layers.0.q': SHARDS[0],
        'm.layers.1.w': SHARDS[1],
        'm.layers.1.q': SHARDS[1],
      },
    }),
  });
  const write = (i: 0 | 1, shape: readonly number[]) =>
    writeFileSync(
      join(folder, SHARDS[i]),
      rawSafetensors({ [`m.layers.${i}.w`]: ['F32', [2, 2]], [`m.layers.${i}.q`]: ['F8_E4M3', shape] }),
    );
  write(0, [2, 1]);
  write(1, [2, 1]);
  const opened = await openHuggingFace(folder);
  expect([...opened.tensors.keys()]).toEqual(['m.layers.0.w', 'm.layers.1.w']);
  expect([...opened.unreadable!]).toMatchObject([
    ['m.layers.0.q', { dtype: 'F8_E4M3', shape: [2, 1], byteLength: 2, from: { file: join(folder, SHARDS[0]) } }],
    ['m.layers.1.q', { dtype: 'F8_E4M3', shape: [2, 1], byteLength: 2, from: { file: join(folder, SHARDS[1]) } }],
  ]);
  expect(opened.warnings).toEqual([]);
  expect(opened.metadata).toEqual(new Map([['format', 'pt']]));
  await opened.close();
  write(1, [2, 2]);
  await expectRefusal(async () => (await openHuggingFace(folder)).close(), join(folder, SHARDS[1]), {
    code: 'shard_revision',
    message: /is F8_E4M3\[2, 2\] in .* but "m\.layers\.0\.q" is F8_E4M3\[2, 1\]/,
    tensor: 'm.layers.1.q',
  });
});
