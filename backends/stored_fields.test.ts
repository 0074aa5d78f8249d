import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/*
 * What reads stored weights for the comparison with the checkpoint shares no layout with what writes them: only formats
 * of others, schemas, names of types and errors.
 */

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Files that a source imports by more than a type, itself among them. */
function closure(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  const text = readFileSync(join(ROOT, path), 'utf8');
  for (const [, names, target] of text.matchAll(/^(?:import|export) ([^;]*?) ?from '(\.[^']+)';/gm))
    if (!names!.startsWith('type ')) closure(relative(ROOT, join(ROOT, dirname(path), target!)), seen);
  return seen;
}

/** What both may have: nothing in it says where an element lies. */
const SHARED: readonly RegExp[] = [
  /^backends\/(?:error|bytes_text)\.ts$/,
  // identifiers and schemas of ONNX, and how they are printed
  /^backends\/onnx\/(?:dtype|proto\/onnx_pb)\.ts$/,
  // the schema of tfjs.json and ops that tfjs has
  /^backends\/tfjs\/(?:plan|known_ops)\.ts$/,
  // the schema of manifest.pgw
  /^backends\/wgsl\/bundle\/(?:manifest|plan)\.ts$/,
  /^backends\/wgsl\/bundle\/generated\//,
  // what a stated size may be, and how a file is opened
  /^backends\/(?:client\/model_sizes\.ts|regular_file\.js)$/,
  /^backends\/client\/errors\.ts$/,
  /^ir\/(?:dim|metadata)\.ts$/,
  /^ir\/dtypes\//,
  /^ir\/formats\//,
];

test.each(['onnx', 'tfjs', 'wgsl'])('%s: the reader of stored weights imports nothing that lays them out', (name) => {
  const writer = closure(`backends/${name}/emit.ts`);
  expect(writer.size).toBeGreaterThan(20);
  const reader = closure(`backends/${name}/stored_fields.ts`);
  const both = [...reader].filter((path) => writer.has(path));
  expect(both.filter((path) => !SHARED.some((allowed) => allowed.test(path)))).toEqual([]);
});

test('the comparison itself imports no backend', () => {
  const paths = [...closure('verify/weights/verify_weights.ts')];
  expect(paths.filter((path) => path.startsWith('backends/')).toSorted()).toEqual([
    'backends/regular_file.js',
    'backends/stored_field.ts',
  ]);
});
