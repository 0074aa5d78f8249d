import { InvalidArgumentError, Option, type Command } from 'commander';
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

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON text on stdout, and everything else on stderr');
}

/** A whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
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

export const PRECISION_HELP = `
Precisions (--dtype):
  fp32    as the checkpoint, widened
  fp16    weights and products in f16; residual stream, norms, softmax and rotary embedding in f32
  bf16    the same in bf16, for targets that have it (ort-cuda; ort-cpu stores it and computes in f32)
  int8    matrices, head and embedding as 8-bit codes, one scale for each 32 weights of a row; activations in f32
  int4    4-bit codes with a scale and a zero point for each 32; activations in f32
  q4f16   int4 with activations as in fp16
--to wgsl has fp32, fp16, int8 and int4, and computes in f32 in each: fp16 is how weights are stored, so it needs no shader-f16.
--mixed auto (the default) gives 8 bits to what 4 bits hurt most: head and embedding; v_proj and down_proj of the first and last
eighth of the layers and of every third. none gives all the same; a file says it by weight: {"lm.*.down": "int8", "vit.*": "fp16"}.
--algorithm search (the default) finds the scale and zero point with the least squared error; rtn takes them from the largest and
smallest weight (faster, 2 dB and more worse); hqq minimises a norm that forgives outliers; gptq compensates each column's error in
the next ones and needs --calibrate.
--calibrate shows the model pictures and prompts first: a folder with a.png beside a.txt or an eval.json, or default for a built-in
set. fp16 then keeps in f32, by name, what comes near 65504; codes are chosen for the inputs that each column sees. Without the
option, fp16 calibrates on the built-in set where that is cheap beside the rest; none switches it off.`;

/** Options that decide how a precision is made. */
export function withPrecisionOptions(command: Command): Command {
  return command
    .option('--mixed <how>', 'bits of each matrix in a quantized precision: auto, none or a JSON file (default: auto)')
    .addOption(new Option('--algorithm <name>', 'how codes are chosen (default: search)').choices([...ALGORITHMS]))
    .option('--per-channel', 'int8 with one scale a row, for runtimes that have no blocks')
    .option('--calibrate <set>', 'pictures and prompts to look at activations with: a folder, default or none');
}

/** What `withModelOptions` adds. */
export interface ModelFlags {
  readonly reference: Reference;
  readonly finalSoftcap: Switch;
  readonly slidingWindow: Switch;
}

/** What `withAdapters` adds. */
export interface AdapterFlags {
  readonly adapter?: readonly string[] | undefined;
  readonly adapterScale?: readonly number[] | undefined;
}

/** Help on what `withModelOptions` and `withAdapters` add, for commands that read a checkpoint. */
export const MODEL_HELP = `
Where Hugging Face and big_vision differ on purpose:
                        --reference huggingface            --reference bigvision
  √D and norms' 1 + w   in f32                             in the checkpoint's dtype (68 for 67.88 in bf16)
  sliding window        4096 on Gemma 2's even layers,     none
                        past the prompt only
  pictures, newline     bicubic, tokenised with the text   bilinear, tokenised apart
--final-softcap on caps PaliGemma 2's logits at 30 · tanh(x / 30). auto is off: neither original caps the logits of a text (their
configs say 30), greedy answers are the same, and only uncapped logits can be compared with theirs.
--sliding-window auto does what the reference does. It can matter beyond 4096 tokens only: at 896 pixels.`;

export const ADAPTER_HELP = `
--adapter names a PEFT folder (adapter_config.json, adapter_model.safetensors): LoRA, rsLoRA or DoRA, with rank and alpha patterns,
modules_to_save and biases; given again, the next is merged on top. It is merged in f32 as the weights stream by, and what the
bundle is compared with is the adapted model. --adapter-scale, once for each adapter in the same order, weakens or strengthens it.`;

const collect = <T>(value: T, before: readonly T[] = []): readonly T[] => [...before, value];

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
    );
}

/** Options that name adapters. */
export function withAdapters(command: Command): Command {
  return command
    .option('--adapter <dir>', 'a PEFT adapter to merge; may be given again', collect<string>)
    .option(
      '--adapter-scale <x>',
      'strength of the adapter at the same place (default: 1)',
      (text: string, before?: readonly number[]) => collect(finiteNumber(text), before),
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
