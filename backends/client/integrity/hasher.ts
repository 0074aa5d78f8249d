import { RuntimeError } from '../errors.ts';
import { nodeModule } from '../node.ts';

/** SHA-256 of bytes that come in pieces. */
export interface Hasher {
  update(chunk: Uint8Array): void;
  /** In hexadecimal digits. Once, at the end. */
  digest(): string;
}

/**
 * Node's own where there is Node. Browsers digest whole buffers only, and only in secure contexts: what comes in pieces
 * is hashed in WebAssembly, so that no file is held for the sake of its hash.
 * @throws RuntimeError `missing_feature` where a page may not compile WebAssembly
 */
export async function newHasher(): Promise<Hasher> {
  const crypto = nodeModule('node:crypto');
  if (crypto) {
    const hash = crypto.createHash('sha256');
    return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest('hex') };
  }
  const { createSHA256 } = await import('hash-wasm');
  const hash = await createSHA256().catch((cause: unknown) => {
    throw new RuntimeError(
      'missing_feature',
      'files cannot be checked: this page may not compile WebAssembly',
      "allow 'wasm-unsafe-eval' in its Content-Security-Policy, or load with integrity: false",
      { cause },
    );
  });
  hash.init();
  return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest() };
}

/** SHA-256 of bytes that are there, in hexadecimal digits. @throws as `newHasher` */
export async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { subtle } = (globalThis as { readonly crypto?: { readonly subtle?: typeof crypto.subtle } }).crypto ?? {};
  if (!subtle || nodeModule('node:crypto')) {
    const hasher = await newHasher();
    hasher.update(bytes);
    return hasher.digest();
  }
  const hash = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
