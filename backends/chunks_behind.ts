import type { ArtifactChunk } from './backend.ts';

/** What of a sequence of bytes lies behind its first `from`: for what costs little to make. */
export async function* chunksBehind(chunks: AsyncIterable<ArtifactChunk>, from: number): AsyncGenerator<ArtifactChunk> {
  let at = 0;
  for await (const chunk of chunks) {
    const { byteLength } = chunk.bytes;
    if (at >= from) yield chunk;
    else if (at + byteLength > from) yield { ...chunk, bytes: chunk.bytes.slice(from - at) };
    at += byteLength;
  }
}
