import type { ModelFacts } from '../../client/model_facts.ts';
import type { WgslManifest } from '../bundle/manifest.ts';
import type { Counters, ReadTensor } from './executor.ts';
import { RuntimeError } from '../../client/errors.ts';
import type { LoadInfo, LoadOptions, Started } from './load_options.ts';
import { ImageFeatures, type DecodeOptions, type PrefillInput } from './model.ts';
import type { PixelMode } from '../../client/images/pixels.ts';
import { pixelValues, type PictureSource } from '../../client/images/picture.ts';
import { processorOf } from '../../client/text/processor.ts';
import type { StepTime } from './profile.ts';
import type { BundleSource } from '../../client/sources/source.ts';
import { openText, TextPieces, type Text } from '../../client/text/text.ts';

export interface GenerateOptions extends Omit<DecodeOptions, 'maxTokens'> {
  /** The picture, or pictures in the order of the prompt; features that were encoded before are as good. */
  readonly image?: PictureSource | ImageFeatures | readonly (PictureSource | ImageFeatures)[];
  /** What to say of it: `caption en`. */
  readonly prompt: string;
  /** Default 100. */
  readonly maxNewTokens?: number;
}

const DEFAULT_NEW_TOKENS = 100;

/** A model that was loaded. One call at a time. */
export class Model {
  /** Sizes and ids. */
  readonly facts: ModelFacts;
  readonly #source: BundleSource;
  readonly #restart: (changes: LoadOptions) => Promise<Started>;
  #started: Started;
  #text: Promise<Text> | undefined;
  #mode: Promise<PixelMode> | undefined;

  /** Made by `load`. */
  constructor(
    source: BundleSource,
    { model }: WgslManifest,
    started: Started,
    restart: (changes: LoadOptions) => Promise<Started>,
  ) {
    this.facts = model;
    this.#source = source;
    this.#started = started;
    this.#restart = restart;
  }

  /** What the runtime chose of the device, and why. */
  get info(): LoadInfo {
    return this.#started.info;
  }

  /** Dispatches, submits, bytes read back, … since it was loaded. */
  get counters(): Readonly<Counters> {
    return this.#started.model.counters;
  }

  /** Bytes that the model holds on the device now, and the most it has held. */
  get memory(): { readonly bytes: number; readonly peak: number } {
    const { bytes, peak } = this.#started.model.executor.memory;
    return { bytes, peak };
  }

  /**
   * A picture through the image tower: its features stay on the device until they are destroyed.
   * @throws RuntimeError
   */
  async encodeImage(picture: PictureSource): Promise<ImageFeatures> {
    return this.#started.model.encodePixels(await pixelValues(picture, this.facts.imageSize, await this.#processor()));
  }

  /** The same of pixels f32 [3, imageSize, imageSize] in [-1, 1]. @throws RuntimeError */
  async encodePixels(pixels: Float32Array): Promise<ImageFeatures> {
    return this.#started.model.encodePixels(pixels);
  }

  /** Ids of a prompt of `images` pictures: image tokens, `<bos>`, the text, a newline. @throws RuntimeError */
  async promptIds(prompt: string, images = 1): Promise<number[]> {
    return (await this.#tokenizer()).promptIds(prompt, images);
  }

  /** Text of ids, without special tokens. @throws RuntimeError */
  async decodeText(ids: readonly number[]): Promise<string> {
    return (await this.#tokenizer()).decode(ids);
  }

  /**
   * Reads rows of ids, which replace what was read before.
   * @throws RuntimeError `bad_input` when they do not fit the model
   */
  async prefill(input: PrefillInput): Promise<void> {
    await this.#started.model.prefill(input);
  }

  /** f32 [rows, 1, vocabulary]: of the last position that prefill read. */
  async logits(): Promise<ReadTensor> {
    return this.#started.model.logits();
  }

  /**
   * Tokens after what prefill read, step by step: one of every row, undefined for rows that have ended. Call prefill
   * before calling it again. @throws RuntimeError; the signal's reason
   */
  decode(options: DecodeOptions = {}): AsyncGenerator<readonly (number | undefined)[]> {
    return this.#started.model.decode(options);
  }

  /** The answer to a picture and a prompt, as pieces of text. @throws RuntimeError; the signal's reason */
  async *generate({
    image = [],
    prompt,
    maxNewTokens = DEFAULT_NEW_TOKENS,
    ...options
  }: GenerateOptions): AsyncGenerator<string> {
    const text = await this.#tokenizer();
    const given = isList(image) ? image : [image];
    const own: ImageFeatures[] = [];
    try {
      const images: ImageFeatures[] = [];
      for (const picture of given) {
        options.signal?.throwIfAborted();
        const features = picture instanceof ImageFeatures ? picture : await this.encodeImage(picture);
        if (features !== picture) own.push(features);
        images.push(features);
      }
      await this.prefill({ rows: [text.promptIds(prompt, images.length)], images, maxNewTokens });
      const pieces = new TextPieces(text.decode);
      for await (const [token] of this.decode({ ...options, maxTokens: maxNewTokens })) {
        const piece = pieces.add(token!);
        if (piece !== '') yield piece;
      }
      const rest = pieces.end();
      if (rest !== '') yield rest;
    } finally {
      for (const features of own) features.destroy();
    }
  }

  /**
   * How long each kernel of a phase takes; default one step of decoding after what was read. Call prefill again before
   * decoding.
   * @throws RuntimeError `missing_feature`
   */
  async profile(phase = 'decoder.step'): Promise<readonly StepTime[]> {
    return this.#started.model.profile(phase);
  }

  /**
   * The elements of a stage or port, by running its graph on what its inputs hold now.
   * @throws RuntimeError `bad_input` when there is none
   */
  async dumpTensor(name: string): Promise<ReadTensor> {
    return this.#started.model.dumpTensor(name);
  }

  /**
   * After the device was lost: loads everything again. What was read, and features of pictures, are gone.
   * @throws as `load` does
   */
  async recover(changes: Pick<LoadOptions, 'device' | 'onProgress' | 'signal'> = {}): Promise<void> {
    this.#started.dispose();
    this.#started = await this.#restart(changes);
  }

  /** Gives everything back. */
  async dispose(): Promise<void> {
    this.#started.dispose();
  }

  #processor(): Promise<PixelMode> {
    this.#mode ??= processorOf(this.#source).catch((error: unknown) => {
      this.#mode = undefined;
      throw error;
    });
    return this.#mode;
  }

  #tokenizer(): Promise<Text> {
    this.#text ??= this.#processor()
      .then((mode) => openText(this.#source, this.facts, mode))
      .catch((error: unknown) => {
        this.#text = undefined;
        throw error instanceof RuntimeError && error.code === 'not_found'
          ? new RuntimeError(
              'not_found',
              'this bundle has no tokenizer',
              'give ids to prefill, or convert again with --tokenizer',
              { cause: error },
            )
          : error;
      });
    return this.#text;
  }
}

function isList<T extends object>(value: T | string | readonly (T | string)[]): value is readonly (T | string)[] {
  return Array.isArray(value);
}
