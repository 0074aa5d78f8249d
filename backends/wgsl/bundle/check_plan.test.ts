import { describe, expect, it } from 'vitest';
import { checkPlan } from './check_plan.ts';
import { MANIFEST_PATH, SHARD_BYTES } from './manifest.ts';
import type { Phase, Plan, Step } from './plan.ts';
import { readManifest } from './read_manifest.ts';
import { growingValue, ONE, writtenFiles } from './testing/contents.ts';

const { plan } = await readManifest((await writtenFiles()).get(MANIFEST_PATH)!);
const phase = (change: Partial<Phase>): Partial<Plan> => ({ phases: [{ ...plan.phases[0]!, ...change }] });
const step = (change: Partial<Step>): Partial<Plan> => phase({ steps: [{ ...plan.phases[0]!.steps[0]!, ...change }] });
const last = (change: object): Partial<Plan> => ({
  weights: [...plan.weights.slice(0, 2), { ...plan.weights[2]!, ...change }],
});
const shard = (change: object): Partial<Plan> => ({ shards: [{ ...plan.shards[0]!, ...change }] });
const bound = (...bindings: Step['bindings']): Partial<Plan> => step({ bindings });
const [x, scratch, weight] = [
  { kind: 'buffer', index: 0 },
  { kind: 'buffer', index: 1 },
  { kind: 'weight', index: 2 },
] as const;

describe('a plan', () => {
  it('that holds together passes', () => {
    expect(() => checkPlan(plan)).not.toThrow();
  });

  it.each<[string, Partial<Plan>, string]>([
    ['a buffer that is not there', phase({ stages: [growingValue('x', 9)] }), 'no buffer of x 9'],
    [
      'a size that is not there',
      {
        buffers: [
          ...plan.buffers,
          {
            label: 'z',
            role: 'port',
            sizes: [{ factors: [{ constant: 0, terms: [{ symbol: 3, factor: 1 }] }], bytes: 4 }],
          },
        ],
      },
      'no size 3',
    ],
    ['a fixed size that is not there', phase({ fixed: [{ symbol: 3, value: 1 }] }), 'no size 3'],
    [
      'a stated size that is not there',
      phase({ scalars: [{ symbol: 7, input: 'kept', whenZero: { constant: 1, terms: [] } }] }),
      'no size 7',
    ],
    [
      'a shader that is not there',
      { pipelines: [{ variants: [{ shader: 2, features: [] }], access: ['read', 'read', 'read_write'] }] },
      'no shader 2',
    ],
    ['a pipeline that is not there', step({ pipeline: 1 }), 'no pipeline 1'],
    ['a pipeline without a shader', { pipelines: [{ variants: [], access: ['read'] }] }, 'no shader or no binding'],
    ['bindings that the pipeline has not', bound(scratch, weight), '2 bindings for 3'],
    ['a bound weight that is not there', bound(scratch, { kind: 'weight', index: 3 }, x), 'no weight 3'],
    ['a weight that is written', bound(scratch, x, weight), 'writes to a weight'],
    ['a buffer that is read and written by one step', bound(x, weight, x), 'binds it twice'],
    ['a grid divided by nothing', step({ grid: [ONE, ONE, { factors: [], divide: 0 }] }), 'divided by 0'],
    [
      'a value that grows along no axis of its',
      step({ produces: [{ ...growingValue('y', 0), growing: 2 }] }),
      'grows along axis 2 of 2',
    ],
    [
      'a value that grows backwards',
      step({ produces: [{ ...growingValue('y', 0), growing: -2 }] }),
      'grows along axis -2 of 2',
    ],
    ['growth without a capacity', { symbols: ['past', 'seq', 'room'] }, 'no size called capacity'],
    [
      'a shared port that has two buffers',
      phase({ outputs: [growingValue('y', 1)] }),
      'x and y of decoder.step are not one buffer',
    ],
    [
      'a shared port that is not there',
      phase({ inPlace: [{ input: 'z', output: 'y' }] }),
      'z and y of decoder.step are not one buffer',
    ],
    ['a weight beyond its shard', last({ byteLength: plan.shards[0]!.byteLength }), 'does not lie in its shard'],
    ['a weight of no bytes', last({ byteLength: 0 }), 'does not lie in its shard'],
    ['a weight in no shard', last({ shard: 1 }), 'no shard 1'],
    ['weights over each other', last({ offset: 256, byteLength: 4 }), 'lies over another'],
    ['a weight at an odd place', last({ offset: 900, byteLength: 4 }), 'no multiple of 256'],
    [
      'a shard that no buffer holds',
      shard({ byteLength: SHARD_BYTES + 1 }),
      `weights/000.bin has ${SHARD_BYTES + 1} bytes`,
    ],
    ['a shard of no bytes', shard({ byteLength: 0 }), 'weights/000.bin has 0 bytes'],
    ...[
      'weights/../../x.bin',
      '/x.bin',
      'weights\\x.bin',
      'C:/x.bin',
      './x.bin',
      'weights//x.bin',
      '',
      'https://example.org/x.bin',
    ].map((path): [string, Partial<Plan>, string] => [
      `the path "${path}"`,
      shard({ path }),
      'no path within a bundle',
    ]),
    ['two files of one name', shard({ path: 'shaders/plain.wgsl' }), 'called alike: file shaders/plain.wgsl'],
    ['two weights of one name', last({ name: 'w0' }), 'called alike: weight w0'],
    ['two sizes of one name', { symbols: ['past', 'past', 'capacity'] }, 'called alike: size past'],
    ['two phases of one name', { phases: [...plan.phases, ...plan.phases] }, 'called alike: phase decoder.step'],
    [
      'two ports of one name',
      phase({ inPlace: [], outputs: [growingValue('y', 0), growingValue('y', 1)] }),
      'called alike: port of decoder.step y',
    ],
    ['nothing in it', { weights: [], phases: [] }, 'nothing in it'],
  ])('with %s is damaged', (_, change, message) => {
    expect(() => checkPlan({ ...plan, ...change })).toThrow(
      expect.objectContaining({
        name: 'ManifestError',
        code: 'damaged',
        message: expect.stringContaining(message) as unknown,
      }) as Error,
    );
  });
});
