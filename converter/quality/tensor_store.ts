import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { elementCount, type Tensor } from '../../ir/tensor.ts';
import { makeFolders, openFile } from '../disk.js';
import { outputError } from '../output_error.ts';

/**
 * Tensors in files of a folder, as f32: what one model computed, for comparison with models that are not open yet.
 * Logits of all cases of a 3B do not fit in memory.
 */
export class TensorStore {
  readonly #dir: string;
  readonly #shapes = new Map<string, readonly number[]>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  async put(key: string, { shape, data }: Tensor): Promise<void> {
    try {
      await makeFolders(this.#dir);
      const file = await openFile(this.#path(key), 'w');
      try {
        await file.write(new Uint8Array(Float32Array.from(data).buffer));
      } finally {
        await file.close();
      }
    } catch (error) {
      throw outputError(error, this.#dir, 'TMPDIR');
    }
    this.#shapes.set(key, shape);
  }

  has(key: string): boolean {
    return this.#shapes.has(key);
  }

  /** @throws RangeError for a key that was not put. */
  async get(key: string): Promise<Tensor> {
    const shape = this.#shapes.get(key);
    if (!shape) throw new RangeError(`nothing is stored as "${key}"`);
    const data = new Float32Array(elementCount(shape));
    new Uint8Array(data.buffer).set(await readFile(this.#path(key)));
    return { dtype: 'f32', shape, data };
  }

  #path(key: string): string {
    return join(this.#dir, `${encodeURIComponent(key)}.f32`);
  }
}
