import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeManifest, printManifest, readManifest, type Manifest } from '../../bundle/manifest.ts';
import { convert } from '../../compile/convert.ts';
import { silentReporter } from '../../terminal/reporter.ts';
import { refused, type HostileInput, type Outcome } from './entry.ts';

const CHECKPOINT = 'fixtures/shapes/hf';
const PICTURE = 'fixtures/shapes/images/000.png';

const made = new Map<string, Promise<string>>();

/** A bundle that all tests of a process copy. */
function soundBundle(backend: 'onnx' | 'tfjs'): Promise<string> {
  const known = made.get(backend) ?? makeBundle(backend);
  made.set(backend, known);
  return known;
}

async function makeBundle(backend: string): Promise<string> {
  const out = join(await mkdtemp(join(tmpdir(), 'pgconv-hostile-')), 'bundle');
  const options = {
    checkpoint: CHECKPOINT,
    backend,
    precision: 'fp16',
    calibrate: 'none',
    verify: false,
    out,
  } as const;
  await convert(options, silentReporter);
  return out;
}

/** The bundles that were made go away. */
export async function removeSoundBundles(): Promise<void> {
  for (const path of made.values()) await rm(join(await path, '..'), { recursive: true });
  made.clear();
}

const VERIFY = (dir: string) => ['verify', dir];
const RUN = (dir: string) => ['run', dir, '--image', PICTURE, '--prompt', 'caption en'];

const bundle = (
  input: string,
  damage: (dir: string) => Promise<unknown>,
  outcome: Outcome,
  command: (dir: string) => readonly string[] = VERIFY,
  backend: 'onnx' | 'tfjs' = 'onnx',
): HostileInput => ({
  input,
  outcome,
  async make(dir) {
    await cp(await soundBundle(backend), dir, { recursive: true });
    await damage(dir);
    return command(dir);
  },
});

/** Another manifest, whose hash is right. */
const forged = (edit: (manifest: Manifest) => Partial<Manifest>) => async (dir: string) => {
  const manifest = await readManifest(dir);
  const { files, sha256: _, format: __, formatVersion: ___, ...fields } = { ...manifest, ...edit(manifest) };
  await writeFile(join(dir, 'manifest.json'), printManifest(makeManifest(fields, files)));
};
const sized = (field: keyof Manifest['program'], value: number) =>
  forged(({ program }) => ({ program: { ...program, [field]: value } }));

async function flip(path: string): Promise<void> {
  const content = await readFile(path);
  content[Math.floor(content.length / 2)]! ^= 4;
  await writeFile(path, content);
}
const instead = (name: string, make: (path: string) => unknown) => async (dir: string) => {
  await rm(join(dir, name), { recursive: true, force: true });
  await make(join(dir, name));
};
const fifo = (path: string) => execFileSync('mkfifo', [path]);

const DECODER = 'onnx/decoder_model_merged_fp16.onnx';
const reader = (input: string, words: string): HostileInput => ({
  input,
  outcome: refused('bundle_damaged'),
  by: ['backends/onnx/read.test.ts', words],
});

/** Of a graph model of tfjs, the file of its weights. */
async function weightsOf(dir: string): Promise<string> {
  const { files } = await readManifest(dir);
  return join(dir, files.find(({ path }) => path.endsWith('.bin'))!.path);
}

export const BUNDLE_INPUTS: readonly HostileInput[] = [
  reader('external data at `..`, at an absolute path, at one with a backslash', 'a/../../secret'),
  reader('external data that is a symbolic link, or behind one', 'a symbolic link, to a file or on the way'),
  reader('external data that is a hard link', 'a hard link, a folder, a missing file'),
  reader('a negative offset', 'a negative offset'),
  reader('an offset past the end', 'an offset past the end'),
  reader('an offset of a petabyte', 'an offset of a petabyte'),
  reader('a truncated varint', 'a truncated varint'),
  reader('subgraphs 10,000 deep', 'subgraphs nested 10,000 deep'),
  bundle('a flipped bit in a graph', (dir) => flip(join(dir, DECODER)), refused('bundle_damaged')),
  bundle('a flipped bit in weights', (dir) => flip(join(dir, `${DECODER}_data`)), refused('bundle_damaged')),
  bundle('a flipped bit in the manifest', (dir) => flip(join(dir, 'manifest.json')), refused('manifest_damaged')),
  bundle('tfjs: weights missing', async (dir) => rm(await weightsOf(dir)), refused('bundle_damaged'), VERIFY, 'tfjs'),
  bundle(
    'tfjs: weights short',
    async (dir) => truncate(await weightsOf(dir), 100),
    refused('bundle_damaged'),
    VERIFY,
    'tfjs',
  ),
  {
    input: 'tfjs: weights at `..`',
    outcome: refused('damaged'),
    by: ['backends/tfjs/driver/weight_stream.test.ts', 'the path leads out of the bundle'],
  },
  {
    input: 'a binding larger than the device allows',
    outcome: refused('small_limit'),
    by: ['backends/wgsl/runtime/plan_buffers.test.ts', 'beyond what a buffer may have is refused by name'],
  },
  {
    input: 'a tensor name that is source of a shader',
    outcome: { taken: 'texts of shaders have no names' },
    by: ['backends/wgsl/compile/compile.test.ts', 'names of tensors are in no shader'],
  },
  ...(
    [
      ['imageSize', 1_000_000],
      ['layers', 1_000_000],
      ['maxPositions', 1e15],
      ['vocabSize', 1e15],
    ] as const
  ).map(([field, value]) =>
    bundle(`a manifest that states ${field} ${value}`, sized(field, value), refused('manifest_invalid'), RUN),
  ),
  bundle(
    'a manifest that states a larger model than the files hold',
    sized('vocabSize', 16_000_000),
    refused('manifest_invalid'),
    RUN,
  ),
  bundle('a manifest that lists `../x`', listing('../x'), refused('unsafe_path')),
  bundle('a manifest that is a FIFO', instead('manifest.json', fifo), refused('not_a_bundle')),
  bundle(
    'a manifest that is a link out of the bundle',
    async (dir) => {
      await cp(join(dir, 'manifest.json'), `${dir}-outside`);
      await instead('manifest.json', (path) => symlink(`${dir}-outside`, path))(dir);
    },
    refused('unsafe_path'),
  ),
  bundle('a file that is a FIFO, verified', instead('tokenizer.json', fifo), refused('bundle_damaged')),
  bundle('a file that is a FIFO, run', instead('tokenizer.json', fifo), refused('bundle_damaged'), RUN),
  bundle(
    'a file that is a FIFO, run with `--no-check`',
    instead('tokenizer.json', fifo),
    refused('bad_tokenizer'),
    (dir) => [...RUN(dir), '--no-check'],
  ),
  bundle(
    'a file that is a link out of the bundle, run',
    instead('tokenizer.json', (path) => symlink('/etc/hostname', path)),
    refused('bundle_damaged'),
    RUN,
  ),
  bundle(
    'a file that is a link out of the bundle, run with `--no-check`',
    instead('tokenizer.json', (path) => symlink('/etc/hostname', path)),
    refused('unsafe_path'),
    (dir) => [...RUN(dir), '--no-check'],
  ),
];

function listing(path: string) {
  return forged(({ files }) => ({ files: [...files, { path, bytes: 1, sha256: '0'.repeat(64) }] }));
}
