import { InvalidArgumentError, Option, type Command } from 'commander';
import { isWholeNumber } from '../../backends/client/generation/numbers.ts';
import { collecting } from './repeats.ts';
import { REFERENCES, SWITCHES, type Reference, type Switch } from '../models/family.ts';
import type { ModelSource } from '../models/open_model.ts';
import { ALGORITHMS, type Algorithm } from '../compile/prepare_programs.ts';

/** Set by a command that ends without an error but not with success. */
export interface CommandResult {
  exitCode: number;
}

/** Of `--device`. */
export const DEVICE_HELP =
  'where to run: cpu or webgpu for onnx; cpu, wasm or webgpu for tfjs; webgpu for wgsl (default: the first)';

/** `--json`, as every command has it. */
export function jsonOption(): Option {
  return new Option('--json', 'print one JSON text on stdout, and everything else on stderr');
}

/** A whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !isWholeNumber(value, least))
      throw new InvalidArgumentError(`give a whole number of at least ${least}.`);
    return value;
  };
}

/** What `withPrecisionOptions` adds. */
export interface PrecisionFlags {
  readonly mixed?: string;
  readonly algorithm?: Algorithm;
  readonly perChannel?: boolean;
  readonly calibrate?: string;
}

/** Options that decide how a precision is made. */
export function withPrecisionOptions(command: Command): Command {
  return command
    .option(
      '--mixed <how>',
      'bits of each matrix in a quantized precision: auto, none or a JSON file (default: auto; tfjs: none)',
    )
    .addOption(new Option('--algorithm <name>', 'how codes are chosen (default: search)').choices([...ALGORITHMS]))
    .option('--per-channel', 'int8 with one scale a row, for runtimes that have no blocks')
    .option('--calibrate <set>', 'pictures and prompts to look at activations with: a folder, default or none');
}

/** What `withModelOptions` adds. */
export interface ModelFlags {
  readonly reference: Reference;
  readonly finalSoftcap: Switch;
  readonly slidingWindow: Switch;
  readonly leaveOut?: readonly string[] | undefined;
}

/** What `withAdapters` adds. */
export interface AdapterFlags {
  readonly adapter?: readonly string[] | undefined;
  readonly adapterScale?: readonly number[] | undefined;
}

/** Options that decide what the graphs compute. */
export function withModelOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--reference <whose>', 'whose arithmetic to follow where the two originals differ on purpose')
        .choices([...REFERENCES])
        .default('huggingface'),
    )
    .addOption(
      new Option('--final-softcap <when>', 'cap the logits of PaliGemma 2 (auto: off)')
        .choices([...SWITCHES])
        .default('auto'),
    )
    .addOption(
      new Option(
        '--sliding-window <when>',
        'let even layers of PaliGemma 2 see 4096 tokens only (auto: as the reference)',
      )
        .choices([...SWITCHES])
        .default('auto'),
    )
    .addOption(
      collecting(
        '--leave-out <name>',
        'a tensor that lies beside the model, with * for any letters; recorded, and may be given again',
        (text) => text,
      ),
    );
}

/** Options that name adapters. */
export function withAdapters(command: Command): Command {
  return command
    .addOption(collecting('--adapter <dir>', 'a PEFT adapter to merge; may be given again', (text) => text))
    .addOption(
      collecting('--adapter-scale <x>', 'strength of the adapter at the same place (default: 1)', finiteNumber),
    );
}

/** @throws InvalidArgumentError when there are more scales than adapters. */
export function adapterSources({
  adapter = [],
  adapterScale = [],
}: AdapterFlags): NonNullable<ModelSource['adapters']> {
  if (adapterScale.length > adapter.length)
    throw new InvalidArgumentError(
      `--adapter-scale is given ${adapterScale.length} times for ${adapter.length} adapters.`,
    );
  return adapter.map((dir, i) => ({ dir, scale: adapterScale[i] ?? 1 }));
}

function finiteNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('give a number.');
  return value;
}

/** One path as itself: several are .npz files of which each gives a part. */
export function checkpointOf(paths: readonly string[]): string | readonly string[] {
  return paths.length === 1 ? paths[0]! : paths;
}
