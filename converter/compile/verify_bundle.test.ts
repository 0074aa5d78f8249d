import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeManifest, printManifest } from '../bundle/manifest.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { testFields } from '../testing/bundle.ts';
import { verifyBundle } from './verify_bundle.ts';

/** A bundle of one file in a precision, with files that nobody lists. */
function bundle(precision: string, unlisted: readonly string[] = []): string {
  const sha256 = createHash('sha256').update('x').digest('hex');
  const manifest = makeManifest({ ...testFields, precision }, [{ path: 'a', bytes: 1, sha256 }]);
  return tempFolder({
    a: 'x',
    'manifest.json': printManifest(manifest),
    ...Object.fromEntries(unlisted.map((name) => [name, ''])),
  });
}

describe('a bundle that is not verified', () => {
  it('is in a precision that this version does not know', async () => {
    const dir = bundle('int3');
    await expect(verifyBundle({ bundle: dir }, silentReporter)).rejects.toMatchObject({
      code: 'unknown_precision',
      message: 'the bundle is in "int3"',
      place: { file: dir },
    });
  });

  it('was converted from what is no longer there', async () => {
    await expect(verifyBundle({ bundle: bundle('fp32') }, silentReporter)).rejects.not.toMatchObject({
      code: 'unknown_precision',
    });
  });

  it('has adapters to merge into nothing', async () => {
    const adapters = [{ dir: 'x', scale: 1 }];
    await expect(verifyBundle({ bundle: bundle('fp32'), adapters }, silentReporter)).rejects.toMatchObject({
      code: 'adapters_without_against',
    });
  });
});

it.each([
  [['b'], 'Files that the manifest does not list: b.'],
  [['b', 'c', 'd', 'e', 'f'], 'Files that the manifest does not list: b, c, d, e, f.'],
  [['b', 'c', 'd', 'e', 'f', 'g'], 'Files that the manifest does not list: b, c, d, e, f, ….'],
])('files that nobody lists are told: %j', async (unlisted, message) => {
  const warnings: string[] = [];
  const reporter = { ...silentReporter, warn: (text: string) => warnings.push(text) };
  await expect(verifyBundle({ bundle: bundle('int3', unlisted) }, reporter)).rejects.toThrow('int3');
  expect(warnings).toEqual([message]);
});
