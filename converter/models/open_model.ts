import { checkAdapterBeside, openAdapter } from './adapters/index.ts';
import type { Adapter } from './adapters/adapter.ts';
import type { Checkpoint, SidecarName, SourceFile } from '../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { UsageError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';
import { knownTokens } from '../sidecars/known_tokens.ts';
import type { Model, ModelOptions } from './family.ts';
import { loadModel } from './index.ts';
import { folderEntries } from './ledger/folder_files.ts';
import type { LedgerEntry } from './ledger/ledger.ts';
import { maskDecoderName } from './mask_decoder_files.ts';
import { modelSidecars } from './token_files.ts';

/** An adapter's folder, and how strongly it is merged: 1 is as it was trained. */
export interface AdapterSource {
  readonly dir: string;
  readonly scale: number;
}

/** What a model is made of. */
export interface ModelSource extends Omit<ModelOptions, 'adapters' | 'tokens' | 'maskDecoder'> {
  /**
   * A Hugging Face folder, a .safetensors file or a big_vision .npz, or a folder that holds one; or several .npz with
   * selectors.
   */
  readonly checkpoint: string | readonly string[];
  /** PEFT adapters that are merged in their order; default none. */
  readonly adapters?: readonly AdapterSource[];
  /** vae-oid.npz, by which codes of an answer become masks. */
  readonly maskDecoder?: string | undefined;
  /** A tokenizer.json or tokenizer.model in place of the checkpoint's and the adapters'. */
  readonly tokenizer?: string | undefined;
  /** Which its files are among; default inputs of its own. */
  readonly inputs?: Inputs | undefined;
}

/** A model with the files behind it, which stay open: weights are read when they are asked for. */
export interface OpenModel {
  readonly checkpoint: Checkpoint;
  readonly adapters: readonly Adapter[];
  readonly model: Model;
  /** The file of the graph of masks, where one was given. */
  readonly maskDecoder?: Checkpoint | undefined;
  /** Files beside the weights, by name: the checkpoint's, and the tokenizer of an adapter that has one. */
  readonly sidecars: ReadonlyMap<SidecarName, InputFile>;
  /** The file that was named in place of the checkpoint's tokenizer. */
  readonly tokenizer?: InputFile | undefined;
  /** All files that were opened, and whatever else the run reads. */
  readonly inputs: Inputs;
  /** What became of every tensor and file of the checkpoint and its adapters. */
  readonly ledger: readonly LedgerEntry[];
  /** All of checkpoint, adapters and model: one sentence each. */
  readonly warnings: readonly string[];
  /** At the end of a run. @throws BadInputError when any of `inputs` changed since it was opened. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a checkpoint and its adapters, and builds the program. @throws BadInputError, UsageError */
export async function openModel({
  checkpoint: path,
  adapters: sources = [],
  tokenizer: named,
  maskDecoder: masksPath,
  inputs: given,
  ...options
}: ModelSource): Promise<OpenModel> {
  const { inputs, close: closeInputs } = inputsOr(given);
  const opened: { close(): Promise<void> }[] = [{ close: closeInputs }];
  const close = async () => {
    for (const file of opened) await file.close();
  };
  try {
    const checkpoint = await openCheckpoint(path, { inputs });
    opened.push(checkpoint);
    const adapters: Adapter[] = [];
    for (const { dir, scale } of sources) {
      const adapter = await openAdapter(dir, { scale, inputs });
      opened.push(adapter);
      adapters.push(adapter);
    }
    const adapterFiles = adapters.flatMap(({ files }) => files.map((file) => file.path));
    const beside = await checkAdapterBeside(checkpoint, adapters);
    const { sidecars, warnings } = modelSidecars(checkpoint, adapters);
    const tokenizer = named === undefined ? undefined : await inputs.open(named);
    const tokens = await knownTokens(sidecars, tokenizer);
    const maskDecoder = masksPath === undefined ? undefined : await openMaskDecoder(masksPath, inputs);
    if (maskDecoder) opened.push(maskDecoder);
    const model = await loadModel(checkpoint, { ...options, adapters, tokens, maskDecoder });
    return {
      checkpoint,
      adapters,
      model,
      maskDecoder,
      sidecars,
      tokenizer,
      inputs,
      ledger: [...model.ledger, ...(await folderEntries(checkpoint, adapterFiles))],
      warnings: [checkpoint, ...adapters, { warnings: [...beside, ...warnings] }, model].flatMap(
        (part) => part.warnings,
      ),
      async checkUnchanged() {
        await checkpoint.checkUnchanged();
        await maskDecoder?.checkUnchanged();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A file that is not there is not the checkpoint. */
async function openMaskDecoder(path: string, inputs: Inputs): Promise<Checkpoint> {
  return openCheckpoint(path, { inputs }).catch((error: unknown) => {
    if (!(error instanceof UsageError) || error.code !== 'not_found') throw error;
    throw new UsageError(
      error.code,
      error.message,
      { ...error.place, hint: 'check the path of --mask-decoder: it is the vae-oid.npz of big_vision' },
      { cause: error },
    );
  });
}

/** Every file that is read, under names that tell them apart. */
export function sourceFiles({
  checkpoint,
  adapters,
  maskDecoder,
}: Pick<OpenModel, 'checkpoint' | 'adapters' | 'maskDecoder'>): readonly SourceFile[] {
  return [
    ...checkpoint.files,
    ...(checkpoint.configFile ? [checkpoint.configFile] : []),
    ...adapters.flatMap((adapter, i) =>
      adapter.files.map((file) => ({ ...file, name: `adapter-${i + 1}/${file.name}` })),
    ),
    ...(maskDecoder?.files ?? []).map((file) => ({ ...file, name: maskDecoderName(maskDecoder!, file) })),
  ];
}
