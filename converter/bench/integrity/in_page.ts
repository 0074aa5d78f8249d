import { verifiedFetch, type Fetch } from '../../../backends/client/integrity/index.ts';
import { newHasher } from '../../../backends/client/integrity/hasher.ts';
import type { InChromium } from './in_chromium.ts';

/* What runs in the page of in_chromium.ts. */

const BUFFER_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 4 * 1024 * 1024;

/** In turn without and with the check, so that what else the machine does weighs on both. */
export async function measure(bundle: string, paths: readonly string[], runs: number): Promise<InChromium> {
  const plain: Fetch = (input, init) => fetch(input, init);
  const times: { readonly without: number[]; readonly with: number[] } = { without: [], with: [] };
  for (let run = 0; run < runs; run++) {
    times.without.push(await timed(() => read(plain, paths)));
    times.with.push(await timed(async () => read(await verifiedFetch(bundle), paths)));
  }
  const data = new Uint8Array(BUFFER_BYTES).map((_, i) => (i * 7) >> 3);
  const rate = async (work: () => Promise<unknown>) => data.length / 1000 / (await timed(work));
  return {
    ...times,
    subtle: await rate(() => crypto.subtle.digest('SHA-256', data)),
    streamed: await rate(async () => {
      const hasher = await newHasher();
      for (let at = 0; at < data.length; at += PIECE_BYTES) hasher.update(data.subarray(at, at + PIECE_BYTES));
      hasher.digest();
    }),
  };
}

async function read(ask: Fetch, paths: readonly string[]): Promise<void> {
  for (const path of paths) await (await ask(path)).arrayBuffer();
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
