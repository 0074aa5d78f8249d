import type { BundleSource } from '../../client/sources/source.ts';
import { RuntimeError } from '../../client/errors.ts';
import type { PlacedWeight } from './bundle.ts';

/**
 * The bytes of weights, one chunk a weight: tfjs copies all that it has for every chunk it gets, so that a weight in
 * many pieces takes time that grows with the square of its size. @throws RuntimeError `damaged` for a file that is
 * short or long
 */
export async function* weightChunks(
  source: BundleSource,
  weights: readonly PlacedWeight[],
  {
    signal,
    onBytes,
  }: { readonly signal?: AbortSignal | undefined; readonly onBytes?: ((bytes: number) => void) | undefined } = {},
): AsyncGenerator<Uint8Array> {
  const files = grouped(weights);
  for (const [file, own] of files) {
    const total = own.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const bytes = source.stream(file, total, signal)[Symbol.asyncIterator]();
    let rest = new Uint8Array();
    try {
      for (const { byteLength, spec } of own) {
        // made when bytes come: the source has seen by then that the file has so many
        let chunk: Uint8Array<ArrayBuffer> | undefined;
        for (let at = 0; at < byteLength;) {
          if (rest.length === 0) {
            const { done, value } = await bytes.next();
            signal?.throwIfAborted();
            if (done) throw wrong(source, file, total, `it ends within ${spec.name}`);
            rest = value as Uint8Array<ArrayBuffer>;
          }
          chunk ??= new Uint8Array(byteLength);
          const count = Math.min(rest.length, byteLength - at);
          chunk.set(rest.subarray(0, count), at);
          rest = rest.subarray(count);
          at += count;
        }
        onBytes?.(byteLength);
        yield chunk ?? new Uint8Array();
      }
      if (rest.length > 0 || !(await bytes.next()).done) throw wrong(source, file, total, 'it is longer');
    } finally {
      await bytes.return?.();
    }
  }
}

function grouped(weights: readonly PlacedWeight[]): ReadonlyMap<string, readonly PlacedWeight[]> {
  const files = new Map<string, PlacedWeight[]>();
  for (const weight of weights) {
    const own = files.get(weight.file) ?? [];
    own.push(weight);
    files.set(weight.file, own);
  }
  return files;
}

function wrong(source: BundleSource, file: string, total: number, what: string): RuntimeError {
  return new RuntimeError(
    'damaged',
    `${source.name}: ${file} should have ${total} bytes: ${what}`,
    'copy or convert the bundle again',
  );
}
