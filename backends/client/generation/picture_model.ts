import { stopTokens, type ProgramMetadata } from '../../../ir/metadata.ts';
import { RuntimeError } from '../errors.ts';
import { answerObjects } from '../answers/answer_objects.ts';
import { codesProblem } from '../answers/codes.ts';
import type { AnswerObject } from '../answers/objects.ts';
import type { PictureSource } from '../images/picture.ts';
import type { BundleSource } from '../sources/source.ts';
import { BundleText } from '../text/bundle_text.ts';
import { TextPieces } from '../text/text_pieces.ts';
import { untilStopped } from './decode.ts';
import type { DeviceModel, StepsRequest } from './device_model.ts';
import { inTurn } from './in_turn.ts';
import { demand, wholeNumber } from './numbers.ts';
import { ofNumbers } from './of_numbers.ts';
import { checkIds, checkLength, promptOf, type PrefillInput, type Prompt } from './prompt.ts';
import { SAMPLING_OPTIONS, samplingOf, type SamplingOptions } from './sampling.ts';
import { StopStrings } from './stop_strings.ts';
import { Turn } from './turn.ts';

export interface DecodeOptions extends SamplingOptions {
  /** Default, and at most, what prefill made room for. */
  readonly maxTokens?: number;
  /** Ids that end a row; default the model's own, all of them. */
  readonly stopTokenIds?: readonly number[];
  /** Ends it at once: its reason is thrown. */
  readonly signal?: AbortSignal;
}

export interface GenerateOptions<Features> extends Omit<DecodeOptions, 'maxTokens'> {
  /** The picture, or pictures in the order of the prompt; features that were encoded before are as good. */
  readonly image?: PictureSource | Features | readonly (PictureSource | Features)[];
  /** What to say of it: `caption en`. */
  readonly prompt: string;
  /** Default 100. */
  readonly maxNewTokens?: number;
  /** Texts that end the answer, and are no part of it; default none. */
  readonly stopStrings?: readonly string[];
}

/** An object of an answer, with its mask where it has one and the bundle can decode it. */
export interface GeneratedObject extends AnswerObject {
  /** f32 [64, 64], raw. */
  readonly mask?: Float32Array;
}

const DEFAULT_NEW_TOKENS = 100;
const OF_DECODING = [...SAMPLING_OPTIONS, 'stopTokenIds', 'signal'];
/** A mask takes about a megabyte while it is decoded. */
const MASKS_AT_ONCE = 16;

/**
 * Drives a model that reads pictures and prompts and answers in text: what is the same in every runtime. One call at a
 * time. What a caller gives is checked here, and changes nothing when it is refused; what a device refuses costs what
 * was read, no more. `Own` are options of decoding that only one runtime has.
 */
export class PictureModel<Features extends object, Own extends object = object> {
  /** Sizes and ids. */
  readonly facts: ProgramMetadata;
  readonly #bundle: BundleText;
  #device: DeviceModel<Features, Own>;
  #turn = new Turn();
  #read: Prompt | undefined;

  constructor(device: DeviceModel<Features, Own>, source: BundleSource, facts: ProgramMetadata) {
    this.#device = device;
    this.facts = facts;
    this.#bundle = new BundleText(source, facts);
  }

  /** A picture through the image tower: its features stay until they are given back. @throws RuntimeError */
  async encodeImage(picture: PictureSource): Promise<Features> {
    const pixels = await this.#pixels(picture);
    return this.alone(() => this.#device.encode(pixels));
  }

  /**
   * The same of pixels f32 [3, imageSize, imageSize], normalized as the bundle's preprocessor_config.json says: usually
   * in [-1, 1].
   * @throws RuntimeError
   */
  async encodePixels(pixels: Float32Array): Promise<Features> {
    const { imageSize } = this.facts;
    const count = 3 * imageSize ** 2;
    demand(pixels.length === count, `${pixels.length} values of pixels`, `[3, ${imageSize}, ${imageSize}], ${count}`);
    return this.alone(() => this.#device.encode(pixels));
  }

  /** Ids of a prompt of `images` pictures: image tokens, `<bos>`, the text, a newline. @throws RuntimeError */
  async promptIds(prompt: string, images = 1): Promise<number[]> {
    wholeNumber('images', images);
    return (await this.#bundle.text()).promptIds(prompt, images);
  }

  /** Text of ids, without special tokens. @throws RuntimeError */
  async decodeText(ids: readonly number[]): Promise<string> {
    checkIds(ids, this.facts);
    return (await this.#bundle.text()).decode(ids);
  }

  /**
   * Reads rows of ids, which replace what was read before.
   * @throws RuntimeError `bad_input` when they do not fit the model
   */
  async prefill(input: PrefillInput<Features>): Promise<void> {
    await this.alone(() => this.#prefill(input));
  }

  /**
   * Tokens after what prefill read, step by step: one of every row, undefined for rows that have ended. Ends when all
   * have, or after `maxTokens`. Call prefill again before decoding again. @throws RuntimeError; the signal's reason
   */
  decode(options: DecodeOptions & Partial<Own> = {}): AsyncGenerator<readonly (number | undefined)[]> {
    return inTurn(
      () => this.#turn.take(),
      () => this.#decode(options),
      options.signal,
    );
  }

  /** The answer to a picture and a prompt, as pieces of text. @throws RuntimeError; the signal's reason */
  generate(options: GenerateOptions<Features> & Partial<Own>): AsyncGenerator<string> {
    return inTurn(
      () => this.#turn.take(),
      () => this.#generate(options),
      options.signal,
    );
  }

  /**
   * The objects of the answer to `detect …` or `segment …`, each as soon as it is complete; with its mask where it has
   * codes and the bundle a mask decoder. What is no object is passed over. @throws RuntimeError; the signal's reason
   */
  generateObjects(options: GenerateOptions<Features> & Partial<Own>): AsyncGenerator<GeneratedObject> {
    return inTurn(
      () => this.#turn.take(),
      () => this.#generateObjects(options),
      options.signal,
    );
  }

  /**
   * Masks of objects' codes, each 16 of 0 to 127: f32 [64, 64], raw, about -1 to 1. `pasteMask` and `drawObjects` of
   * pgconv/answers put them into a picture.
   * @throws RuntimeError `bad_input` for codes that are none, and for a bundle without a mask decoder
   */
  async decodeMasks(codes: readonly ArrayLike<number>[]): Promise<Float32Array[]> {
    const rows = rowsOfCodes(codes);
    for (const each of rows) {
      const problem = codesProblem(each);
      if (problem !== undefined) throw new RuntimeError('bad_input', problem, 'give the codes of an object');
    }
    if (this.facts.maskSize === undefined)
      throw new RuntimeError(
        'bad_input',
        'the bundle has no mask decoder',
        'convert again with --mask-decoder vae-oid.npz: its README says where that is',
      );
    return this.alone(() => this.#masks(rows));
  }

  /** Work that no other call may run beside. @throws RuntimeError `bad_input` while one does */
  protected async alone<T>(work: () => Promise<T>): Promise<T> {
    const give = this.#turn.take();
    try {
      return await work();
    } finally {
      give();
    }
  }

  /** What was read, which is then gone: for work that overwrites it. */
  protected takeRead(): Prompt | undefined {
    const read = this.#read;
    this.#read = undefined;
    return read;
  }

  /** From here on another device computes, which has read nothing; what the one before is at work on counts no more. */
  protected use(device: DeviceModel<Features, Own>): void {
    this.#device = device;
    this.#turn = new Turn();
    this.#read = undefined;
  }

  async #pixels(picture: PictureSource): Promise<Float32Array> {
    // what a page does not need before the weights are there
    const { pixelValues } = await import('../images/picture.ts');
    return pixelValues(picture, this.facts.imageSize, await this.#bundle.processor());
  }

  async #prefill(input: PrefillInput<Features>): Promise<void> {
    const { images = [] } = input;
    const prompt = promptOf(input, this.facts);
    if (!images.every((features) => this.#device.holds(features)))
      throw new RuntimeError('bad_input', 'features of a picture that are gone', 'encode the picture again');
    this.#read = undefined;
    await this.#device.prefill(prompt, images);
    this.#read = prompt;
  }

  #decode(options: DecodeOptions & Partial<Own>): AsyncGenerator<readonly (number | undefined)[]> {
    const read = this.#read;
    if (!read) throw new RuntimeError('bad_input', 'there is nothing to go on from', 'call prefill first');
    const request = this.#request(options, options.maxTokens ?? read.room, ['maxTokens']);
    const steps = Math.min(request.steps, read.room);
    this.#read = undefined;
    const chunks = this.#device.steps(read, { ...request, steps }, options);
    const { rows } = read;
    return ofNumbers(untilStopped(chunks, { rows, steps, stops: request.stops, signal: options.signal }), this.facts);
  }

  /** @throws RuntimeError `bad_input` for options that mean nothing */
  #request(
    options: Omit<DecodeOptions, 'maxTokens'> & Partial<Own>,
    steps: number,
    others: readonly string[],
  ): StepsRequest {
    const { stopTokenIds: stops = stopTokens(this.facts) } = options;
    const known = [...OF_DECODING, ...this.#device.ownOptions, ...others];
    for (const name of Object.keys(options))
      demand(known.includes(name), `an option ${name}`, `one of ${known.join(', ')}`);
    checkIds(stops, this.facts);
    this.#device.checkSteps(options);
    return { steps: wholeNumber('the number of new tokens', steps), stops, sampling: samplingOf(options) };
  }

  async *#generate(options: GenerateOptions<Features> & Partial<Own>): AsyncGenerator<string> {
    const { image = [], prompt, maxNewTokens = DEFAULT_NEW_TOKENS, stopStrings, ...rest } = options;
    // what is left of options is what decode takes: the compiler cannot subtract from `Own`
    const decoding = rest as unknown as Omit<DecodeOptions, 'maxTokens'> & Partial<Own>;
    const { signal } = decoding;
    // before anything is encoded
    demand(typeof prompt === 'string', `a prompt that is ${prompt === null ? 'null' : typeof prompt}`, 'a text');
    this.#request(decoding, maxNewTokens, []);
    const answer = new StopStrings(stopStrings);
    const text = await this.#bundle.text();
    const given = isList(image) ? image : [image];
    const ids = text.promptIds(prompt, given.length);
    checkLength(ids, this.facts);
    const own: Features[] = [];
    try {
      const images: Features[] = [];
      for (const picture of given) {
        signal?.throwIfAborted();
        if (typeof picture === 'object' && this.#device.isFeatures(picture)) images.push(picture);
        else {
          own.push(await this.#device.encode(await this.#pixels(picture)));
          images.push(own.at(-1)!);
        }
      }
      await this.#prefill({ rows: [ids], images, maxNewTokens });
      const pieces = new TextPieces(text.decode);
      for await (const [token] of this.#decode({ ...decoding, maxTokens: maxNewTokens })) {
        const piece = answer.add(pieces.add(token!));
        if (piece !== '') yield piece;
        if (answer.stopped) return;
      }
      const rest = answer.add(pieces.end()) + answer.end();
      if (rest !== '') yield rest;
    } finally {
      for (const features of own) this.#device.free(features);
    }
  }

  async *#generateObjects(options: GenerateOptions<Features> & Partial<Own>): AsyncGenerator<GeneratedObject> {
    for await (const object of answerObjects(this.#generate(options))) {
      const [mask] = object.codes && this.facts.maskSize !== undefined ? await this.#masks([object.codes]) : [];
      yield { ...object, ...(mask && { mask }) };
    }
  }

  async #masks(codes: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const masks: Float32Array[] = [];
    const size = this.facts.maskSize! ** 2;
    for (let i = 0; i < codes.length; i += MASKS_AT_ONCE) {
      const given = codes.slice(i, i + MASKS_AT_ONCE);
      const made = await this.#device.masks(Int32Array.from(given.flat()));
      for (const at of given.keys()) masks.push(made.slice(at * size, (at + 1) * size));
    }
    return masks;
  }
}

/** As plain numbers, whatever lists they came in. @throws RuntimeError `bad_input` for what is no list of lists */
function rowsOfCodes(codes: readonly ArrayLike<number>[]): number[][] {
  const isNumbers = (value: unknown): value is ArrayLike<unknown> =>
    Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);
  const given: unknown[] | undefined = Array.isArray(codes) ? codes : undefined;
  if (!given?.every(isNumbers))
    throw new RuntimeError('bad_input', 'no list of codes', 'give a list of objects’ codes, each 16 numbers');
  // a hole is no number; a bigint is none that a device takes
  return given.map((row) => Array.from(row, (code) => (typeof code === 'number' ? code : Number.NaN)));
}

function isList<T extends object>(value: T | string | readonly (T | string)[]): value is readonly (T | string)[] {
  return Array.isArray(value);
}
