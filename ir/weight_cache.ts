import { readTensor, type Tensor, type TensorData } from './tensor.ts';

/** Decoded weights that a runner keeps between runs, in bytes of the stored form. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** Decoded weights, kept while they fit. */
export class WeightCache {
  readonly #kept = new Map<TensorData, Tensor>();
  #bytes = 0;

  async read(data: TensorData): Promise<Tensor> {
    const known = this.#kept.get(data);
    if (known) return known;
    const tensor = await readTensor(data);
    if (this.#bytes + data.byteLength <= CACHE_BYTES) {
      this.#bytes += data.byteLength;
      this.#kept.set(data, tensor);
    }
    return tensor;
  }
}
