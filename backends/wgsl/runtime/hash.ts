import { nodeModule } from '../../client/node.ts';

/** SHA-256 of bytes that come in pieces; in hexadecimal digits. */
export interface Hasher {
  update(chunk: Uint8Array): void;
  digest(): Promise<string>;
}

/**
 * Makes hashers, one at a time. Node hashes as the bytes come. Browsers hash whole buffers only: the bytes of a file
 * are held in one that the next file uses again, which is several times as fast as hashing them in JavaScript.
 */
export function hashing(): (byteLength: number) => Hasher {
  const crypto = nodeModule('node:crypto');
  if (crypto)
    return () => {
      const hash = crypto.createHash('sha256');
      return { update: (chunk) => void hash.update(chunk), digest: async () => hash.digest('hex') };
    };
  let held = new Uint8Array(0);
  return (byteLength) => {
    if (held.length < byteLength) held = new Uint8Array(byteLength);
    let at = 0;
    return {
      update(chunk) {
        if (at + chunk.length <= byteLength) held.set(chunk, at);
        at += chunk.length;
      },
      digest: async () => (at > byteLength ? 'more bytes than there should be' : sha256(held.subarray(0, at))),
    };
  };
}

/** SHA-256 of bytes that are there, in hexadecimal digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
