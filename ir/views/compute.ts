import { byteLengthOf, type DType } from '../dtypes/index.ts';
import { elementCount, tensorData, type Provenance, type Tensor, type TensorData } from '../tensor.ts';

/** A small tensor that is computed when it is first read, and then kept. */
export function computedData(
  dtype: DType,
  shape: readonly number[],
  compute: () => Promise<Tensor>,
  from?: Provenance,
): TensorData {
  let result: Promise<TensorData> | undefined;
  return {
    dtype,
    shape,
    byteLength: byteLengthOf(dtype, elementCount(shape)),
    ...(from && { from }),
    async *chunks(options) {
      result ??= compute().then(tensorData);
      yield* (await result).chunks(options);
    },
  };
}
