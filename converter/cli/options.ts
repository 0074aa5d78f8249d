import { InvalidArgumentError, Option, type Command } from 'commander';
import { deviceNamed } from '../../backends/devices.ts';
import { isWholeNumber } from '../../backends/client/generation/numbers.ts';
import { prose } from './prose.ts';
import { collecting } from './repeats.ts';
import { REFERENCES, SWITCHES, type Reference, type Switch } from '../models/family.ts';
import type { Failure } from './exit.ts';
import type { ModelSource } from '../models/open_model.ts';
import { UsageError } from '../errors.ts';
import { parseBytes } from '../terminal/memory.ts';
import { ALGORITHMS, type Algorithm } from '../compile/prepare_programs.ts';
import { BALANCES, type Balance } from '../precision/balance.ts';

/** What a command leaves beside what it prints. */
export interface CommandResult {
  /** Set by a command that ends without an error but not with success. */
  exitCode: number;
  /** Files that it was to write beside its result and could not: the result is told all the same. */
  unwritten?: readonly Failure[];
}

/** What `withDevice` adds. */
export interface DeviceFlags {
  readonly device?: string;
  readonly browser?: string;
}

/** `--device` and `--browser`, of every command that runs bundles: what a backend does not have is refused later. */
export function withDevice(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--device <name>',
        prose(
          'where the bundle runs: cpu (onnx, tfjs), wasm (tfjs), webgpu in Node, software (WebGPU on the CPU), browser',
          'or browser:wasm (in a page, by the client that users have there); default: cpu, and for wgsl webgpu, or',
          'software where there is no GPU',
        ),
      ).argParser(deviceNamed),
    )
    .option('--browser <path>', 'the browser of --device browser: Chromium, Chrome, Edge … (default: the one found)');
}

/** `--json`, as every command has it. */
export function jsonOption(): Option {
  return new Option('--json', 'print one JSON text on stdout, and everything else on stderr');
}

/** What `withCheck` adds. */
export interface CheckFlags {
  readonly check: boolean;
}

/** `--no-check`, of commands that run bundles which they have not made. */
export function withCheck(command: Command): Command {
  return command.option('--no-check', 'take the files of the bundle as they are, without a look at their sha256');
}

/** `--memory`, of commands that verify. */
export function memoryOption(): Option {
  return new Option(
    '--memory <size>',
    'memory that the verification may take, as 4GiB; a bundle that needs more is run part by part, a matrix at least (default: what is free)',
  ).argParser(byteSize);
}

/** A size in bytes. */
function byteSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError('give a size such as 4GiB or 800MB.');
  return bytes;
}

/** A number above 0. */
function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('give a number above 0, as 0.01.');
  return value;
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
  readonly budget?: number;
  readonly targetKld?: number;
  readonly algorithm?: Algorithm;
  readonly balance?: Balance;
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
    .addOption(
      new Option(
        '--budget <size>',
        'bytes of graphs and weights, as 1.6GB: bits go where the pictures of --calibrate show that they help most',
      ).argParser(byteSize),
    )
    .addOption(
      new Option(
        '--target-kld <nats>',
        'divergence a token that answers to the pictures of --calibrate may have: in the fewest bytes that do',
      ).argParser(positive),
    )
    .addOption(
      new Option(
        '--algorithm <name>',
        'how codes are chosen (default: search; with a calibration folder gptq too where the model is small)',
      ).choices([...ALGORITHMS]),
    )
    .addOption(
      new Option(
        '--balance <how>',
        'columns of matrices made of like size before they become codes: auto or none (default: auto where codes are searched)',
      ).choices([...BALANCES]),
    )
    .option('--per-channel', 'int8 with one scale a row, for runtimes that have no blocks')
    .option('--calibrate <set>', 'pictures and prompts to look at activations with: a folder, default or none');
}

/** What `withModelOptions` adds. */
export interface ModelFlags {
  readonly reference: Reference;
  readonly finalSoftcap: Switch;
  readonly slidingWindow: Switch;
  readonly leaveOut?: readonly string[] | undefined;
  readonly maskDecoder?: string | undefined;
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
    .option(
      '--mask-decoder <file>',
      'vae-oid.npz of big_vision, by which the codes of an answer to "segment …" become masks',
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

/** What `withExportOptions` adds. */
export interface ExportFlags {
  readonly map?: readonly (readonly [string, string])[] | undefined;
  readonly variantSuffix?: string | undefined;
}

/** Options for what another exporter made. */
export function withExportOptions(command: Command): Command {
  return command
    .addOption(
      collecting(
        '--map <ours=theirs>',
        'of another exporter’s graph: a port or stage by our name and its own; may be given again',
        (text) => {
          const at = text.indexOf('=');
          if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('give two names, as logits=output_0.');
          return [text.slice(0, at), text.slice(at + 1)];
        },
      ),
    )
    .option('--variant-suffix <end>', 'of its files, those whose names end so, as _fp16; none: the shortest names');
}

/** `--map`, as it was given. @throws UsageError for a name of ours that is given two */
export function mapOf(pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [ours, theirs] of pairs) {
    if (map.has(ours))
      throw new UsageError('mapped_twice', `--map says that ${ours} is ${map.get(ours)!}, and that it is ${theirs}`, {
        hint: 'say it once: a graph that has no tensor of that name keeps the port that it has',
      });
    map.set(ours, theirs);
  }
  return map;
}
