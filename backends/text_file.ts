import type { ArtifactFile } from './backend.ts';

/** A file of a bundle that is text, in UTF-8. */
export function textFile(path: string, text: string): ArtifactFile {
  const bytes = new TextEncoder().encode(text);
  return {
    path,
    byteLength: bytes.byteLength,
    async *chunks({ from = 0 } = {}) {
      yield { bytes: bytes.slice(from) };
    },
  };
}
