import { RuntimeError } from '../errors.ts';
import { PILLOW_FILTERS, type PillowFilter } from './pillow_filters.ts';

/**
 * Whose preprocessing: Hugging Face's SiglipImageProcessor on Pillow, or the notebook of big_vision. Logits differ
 * between them.
 */
export const PIXEL_MODES = ['huggingface', 'bigvision'] as const;
export type PixelMode = (typeof PIXEL_MODES)[number];

/** One number for each of R, G, B. */
export type Channels = readonly [number, number, number];

/** How a bundle wants pictures and prompts: whose way it is, and what its preprocessor_config.json says. */
export interface Processor {
  /** Whose pictures and prompts (`--reference`). */
  readonly mode: PixelMode;
  /** By which a picture is squashed to the model's size, of big_vision's in float; undefined where it must have it. */
  readonly filter: PillowFilter | undefined;
  /** What values of 0 to 255 are multiplied with; undefined where they stay. */
  readonly scale: number | undefined;
  /** What is then taken off, and divided by; undefined where neither is. */
  readonly normal: { readonly mean: Channels; readonly deviation: Channels } | undefined;
}

const HALF: Channels = [0.5, 0.5, 0.5];

/** Each original's own, where no file says another. */
export const PROCESSORS: Readonly<Record<PixelMode, Processor>> = {
  huggingface: { mode: 'huggingface', filter: 'bicubic', scale: 1 / 255, normal: { mean: HALF, deviation: HALF } },
  bigvision: { mode: 'bigvision', filter: 'bilinear', scale: 1 / 255, normal: { mean: HALF, deviation: HALF } },
};

/** Fields of preprocessor_config.json that say how; null is as good as absent. */
interface ProcessorFields {
  readonly do_resize?: unknown;
  readonly do_rescale?: unknown;
  readonly do_normalize?: unknown;
  readonly resample?: unknown;
  readonly rescale_factor?: unknown;
  readonly image_mean?: unknown;
  readonly image_std?: unknown;
}

/**
 * The processor that a preprocessor_config.json describes; what it leaves open is as SiglipImageProcessor has it.
 * big_vision resizes in one way, whatever the file says.
 * @param file for messages
 * @throws RuntimeError `damaged` for values that mean nothing
 */
export function processorFrom(mode: PixelMode, fields: ProcessorFields, file: string): Processor {
  const demand = (holds: boolean, field: keyof ProcessorFields): void => {
    if (!holds)
      throw new RuntimeError('damaged', `${file}: ${field} is ${JSON.stringify(fields[field])}`, 'convert again');
  };
  const does = (field: 'do_resize' | 'do_rescale' | 'do_normalize') => {
    const value = fields[field] ?? true;
    demand(typeof value === 'boolean', field);
    return value === true;
  };
  const channels = (field: 'image_mean' | 'image_std'): Channels => {
    const value = fields[field] ?? HALF;
    const values: readonly unknown[] = Array.isArray(value) ? value : [value, value, value];
    const holds = (x: unknown) => Number.isFinite(x) && (field === 'image_mean' || x !== 0);
    demand(values.length === 3 && values.every(holds), field);
    return values as unknown as Channels;
  };
  const number = fields.resample ?? PILLOW_FILTERS.indexOf('bicubic');
  const named = PILLOW_FILTERS.find((_, i) => i === number);
  demand(named !== undefined, 'resample');
  const filter = mode === 'bigvision' ? 'bilinear' : named;
  const scale = fields.rescale_factor ?? 1 / 255;
  demand(typeof scale === 'number' && Number.isFinite(scale), 'rescale_factor');
  const normal = { mean: channels('image_mean'), deviation: channels('image_std') };
  return {
    mode,
    filter: does('do_resize') ? filter : undefined,
    scale: does('do_rescale') ? (scale as number) : undefined,
    normal: does('do_normalize') ? normal : undefined,
  };
}
