import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listFiles } from '../bundle/check_bundle.ts';
import { tempFolders } from '../testing/bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { convert } from './convert.ts';
import type { IrPlaces } from './print_ir.ts';

const folder = tempFolders();

async function printed(printIr: IrPlaces, backend = 'wgsl', parent?: string): Promise<string> {
  const out = join(parent ?? (await folder()), 'bundle');
  await convert(
    { checkpoint: 'fixtures/pg1-tiny/hf', backend, precision: 'fp16', out, verify: false, calibrate: 'none', printIr },
    silentReporter,
  );
  return `${out}.ir`;
}

describe('--print-ir', () => {
  it('all: every graph as it was built and behind each pass, in the order in which they ran', async () => {
    const dir = await printed('all');
    const files = await listFiles(dir);
    const of = (graph: string) => files.flatMap((file) => (file.startsWith(`${graph}/`) ? [file.split('/')[1]] : []));
    expect(of('embed_tokens').slice(0, 6)).toEqual([
      '00.ir',
      '01-fold_constants.ir',
      '02-store_weights.ir',
      '03-eliminate_common_subexpressions.ir',
      '04-eliminate_dead_code.ir',
      '05-fuse_append_cache.ir',
    ]);
    // for any sizes, and for one new token
    expect(of('decoder').filter((name) => name!.endsWith('-decompose.ir'))).toHaveLength(2);
    expect(of('decoder').some((name) => name!.endsWith('-bind_dims.ir'))).toBe(true);
    const text = (name: string) => readFile(join(dir, 'embed_tokens', name), 'utf8');
    expect(await text('00.ir')).toMatch(/^graph embed_tokens \{\n[\s\S]*: f32\[\d+, \d+\] from "/m);
    expect(await text('00.ir')).not.toContain('f16');
    expect(await text('02-store_weights.ir')).toMatch(/weight %\S+\.f16: f16\[\d+, \d+\] from "/);
  });

  it('after a pass: there alone, and a folder of another run is not mixed with it', async () => {
    const parent = await folder();
    const dir = await printed({ after: 'decompose' }, 'onnx', parent);
    expect((await listFiles(dir)).map((file) => file.replace(/\d\d/, 'nn'))).toEqual([
      'decoder/nn-decompose.ir',
      'embed_tokens/nn-decompose.ir',
      'vision_encoder/nn-decompose.ir',
    ]);
    await expect(printed('all', 'onnx', await otherOut(parent))).rejects.toMatchObject({ code: 'exists' });
  });

  it('after a pass that did not run: those that did are named, and nothing is written', async () => {
    const parent = await folder();
    await expect(printed({ after: 'bind_dims' }, 'onnx', parent)).rejects.toMatchObject({
      code: 'unknown_pass',
      place: { hint: expect.stringMatching(/^choose one of fold_constants, cast_floats, .*, or all$/) },
    });
    expect(await listFiles(parent)).toEqual([]);
  });
});

/** A folder where the place of the texts is taken, and that of the bundle is not. */
async function otherOut(parent: string): Promise<string> {
  const other = join(parent, 'other');
  await mkdir(join(other, 'bundle.ir'), { recursive: true });
  return other;
}
