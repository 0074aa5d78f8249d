import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Queries and keys are made 4 times as large: scores 16 times. */
const EXPONENT_STEPS = 2;
/** Of BF16: bits of the fraction. */
const FRACTION_BITS = 7;
const QUERIES_AND_KEYS = /language_model\..*\.self_attn\.(?:q|k)_proj\.weight$/;

/**
 * Makes the decoder of a synthetic bf16 checkpoint of Hugging Face's form choose among tokens. With seeded weights
 * scores are near 1, every query sees all keys alike, and one key more or less is within the rounding of f16; those of
 * trained models are some tens. @throws Error when there are no such weights
 */
export function sharpen(dir: string): void {
  let met = 0;
  for (const name of readdirSync(dir).filter((file) => file.endsWith('.safetensors'))) {
    const file = openSync(join(dir, name), 'r+');
    try {
      const length = new DataView(new ArrayBuffer(8));
      readSync(file, length, 0, 8, 0);
      const size = Number(length.getBigUint64(0, true));
      const text = Buffer.alloc(size);
      readSync(file, text, 0, size, 8);
      const header = JSON.parse(text.toString()) as Readonly<
        Record<string, { readonly dtype: string; readonly data_offsets: readonly [number, number] }>
      >;
      for (const [tensor, { dtype, data_offsets: offsets }] of Object.entries(header)) {
        if (!QUERIES_AND_KEYS.test(tensor)) continue;
        if (dtype !== 'BF16') throw new Error(`${tensor} is ${dtype}`);
        const bits = new Uint16Array((offsets[1] - offsets[0]) / 2);
        readSync(file, bits, 0, bits.byteLength, 8 + size + offsets[0]);
        for (let i = 0; i < bits.length; i++)
          // zeros and what is as small stay
          if ((bits[i]! >> FRACTION_BITS) % 256 !== 0) bits[i]! += EXPONENT_STEPS << FRACTION_BITS;
        writeSync(file, bits, 0, bits.byteLength, 8 + size + offsets[0]);
        met++;
      }
    } finally {
      closeSync(file);
    }
  }
  if (met === 0) throw new Error(`${dir} has no queries and keys`);
}
