import { execFileSync } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { refused, type HostileInput, type Outcome } from './entry.ts';

const CHECKPOINT = 'fixtures/shapes/hf';
const fifo = (path: string) => execFileSync('mkfifo', [path]);
const convert = (out: string, ...more: readonly string[]) => [
  'convert',
  CHECKPOINT,
  ...['--to', 'onnx', '--dtype', 'int8', '--no-verify', '--out', out],
  ...more,
];

/** A FIFO in the place of a file that an option names. */
const option = (
  input: string,
  command: (path: string, out: string) => readonly string[],
  outcome: Outcome = refused('not_a_file'),
): HostileInput => ({
  input,
  outcome,
  make(dir, out) {
    fifo(join(dir, 'fifo'));
    return command(join(dir, 'fifo'), out);
  },
});

/** A folder of pictures for --calibrate. */
const calibration = (input: string, make: (dir: string) => Promise<unknown>, outcome: Outcome): HostileInput => ({
  input,
  outcome,
  async make(dir, out) {
    await writeFile(join(dir, 'a.txt'), 'caption en');
    await make(dir);
    return convert(out, '--calibrate', dir);
  },
});

export const COMMAND_INPUTS: readonly HostileInput[] = [
  option('`--tokenizer` a FIFO', (path, out) => convert(out, '--tokenizer', path)),
  option('`--mixed` a FIFO', (path, out) => convert(out, '--mixed', path)),
  option(
    '`--samples` a FIFO',
    (path) => ['quality', CHECKPOINT, '--dtypes', 'fp32', '--samples', path],
    refused('not_a_file'),
  ),
  option('`--adapter` a FIFO', (path, out) => convert(out, '--adapter', path), refused('not_a_folder')),
  option('a checkpoint that is a FIFO', (path) => ['inspect', path]),
  option('a bundle that is a FIFO', (path) => ['verify', path], refused('not_a_bundle')),
  {
    input: 'a checkpoint that is a device',
    outcome: refused('not_a_file'),
    make: () => ['inspect', '/dev/zero'],
  },
  {
    input: 'an adapter whose config is a FIFO',
    outcome: refused('not_a_file'),
    async make(dir, out) {
      await cp('fixtures/adapters/lora/adapter_model.safetensors', join(dir, 'adapter_model.safetensors'));
      fifo(join(dir, 'adapter_config.json'));
      return convert(out, '--adapter', dir);
    },
  },
  calibration('a picture that is a FIFO', async (dir) => fifo(join(dir, 'a.png')), refused('bad_calibration')),
  calibration('a picture that is a folder', (dir) => mkdir(join(dir, 'a.png')), refused('bad_calibration')),
  calibration(
    'a picture of 20,000 × 20,000 pixels in few bytes',
    (dir) =>
      sharp({ create: { width: 20_000, height: 20_000, channels: 3, background: 'red' }, limitInputPixels: false })
        .png({ compressionLevel: 9 })
        .toFile(join(dir, 'a.png')),
    refused('image_too_large'),
  ),
  calibration(
    'an SVG as a picture',
    (dir) => writeFile(join(dir, 'a.png'), '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    refused('image_unsupported'),
  ),
  calibration(
    'prompts that are a FIFO',
    async (dir) => {
      await cp('fixtures/shapes/images/000.png', join(dir, 'b.png'));
      fifo(join(dir, 'b.txt'));
    },
    refused('not_a_file'),
  ),
];
