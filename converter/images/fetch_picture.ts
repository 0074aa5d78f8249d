import { BadInputError } from '../errors.ts';
import { MAX_FILE_BYTES } from './decode.ts';

/** Whether a picture is named by an address of the web. */
export const isUrl = (name: string): boolean => /^https?:\/\//i.test(name);

/** The bytes of a picture on the web. @throws BadInputError for what cannot be fetched or is too large */
export async function fetchPicture(url: string, signal?: AbortSignal): Promise<Uint8Array> {
  const failed = (message: string, cause?: unknown) =>
    new BadInputError(
      'image_missing',
      message,
      { file: url, hint: 'check the address, or save the picture first' },
      {
        cause,
      },
    );
  let response: Response;
  try {
    response = await fetch(url, signal && { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    const { message, cause: reason } = cause as Error;
    throw failed(`the picture cannot be fetched: ${reason instanceof Error ? reason.message : message}`, cause);
  }
  if (!response.ok || !response.body)
    throw failed(`the picture cannot be fetched: the server says ${response.status} ${response.statusText}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_FILE_BYTES) throw failed(`the picture has more than ${MAX_FILE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
