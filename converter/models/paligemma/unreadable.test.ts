import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../../checkpoints/index.ts';
import { loadModel } from '../index.ts';

let checkpoint: Checkpoint;
beforeAll(async () => {
  checkpoint = await openCheckpoint(join('fixtures', 'pg1-tiny', 'hf'));
});
afterAll(() => checkpoint.close());

/** The fixture with tensors beside its own that the IR cannot read. */
const withUnread = (...names: readonly string[]): Checkpoint => ({
  ...checkpoint,
  unreadable: new Map(
    names.map((name) => [
      name,
      { dtype: 'U64', shape: [2, 3], byteLength: 48, from: { file: checkpoint.files[0]!.path, byteOffset: 8 } },
    ]),
  ),
});
const POSITIONS = 'vision_tower.vision_model.embeddings.position_ids';

test('tensors that cannot be read are in the ledger like others', async () => {
  await expect(loadModel(withUnread('x.table', POSITIONS))).rejects.toMatchObject({
    code: 'unaccounted',
    message: expect.stringContaining('"x.table" [2, 3]') as unknown,
    place: { tensor: 'x.table', file: checkpoint.files[0]!.path, offset: 8 },
  });
  const { ledger } = await loadModel(withUnread('x.table', POSITIONS), { leaveOut: ['x.*'] });
  const fate = (name: string) => ledger.filter(({ tensor }) => tensor === name);
  const file = checkpoint.files[0]!.name;
  expect(fate('x.table')).toEqual([{ file, tensor: 'x.table', leftOut: 'asked' }]);
  expect(fate(POSITIONS)).toEqual([{ file, tensor: POSITIONS, leftOut: 'position_ids' }]);
});

test('a weight that cannot be read is refused, and --leave-out does not leave it out', async () => {
  const [name] = [...checkpoint.tensors.keys()].filter((key) => key.endsWith('q_proj.weight'));
  const without: Checkpoint = {
    ...withUnread(name!),
    tensors: new Map([...checkpoint.tensors].filter(([key]) => key !== name)),
  };
  await expect(loadModel(without, { leaveOut: [name!] })).rejects.toMatchObject({
    code: 'unsupported_dtype',
    place: { tensor: name },
  });
});
