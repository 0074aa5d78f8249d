/** What was recorded by an original itself: fixtures/recordings. */
export interface RecordedByOriginal {
  readonly fixture: string;
  readonly engine: 'transformers' | 'big_vision';
  readonly checkpoint: string;
  readonly recording: string;
}

/** Both tiny models by both originals, each from its own form of the checkpoint. */
const ONE_PICTURE: readonly RecordedByOriginal[] = ['pg1-tiny', 'pg2-tiny'].flatMap((fixture) => [
  {
    fixture,
    engine: 'transformers',
    checkpoint: `fixtures/${fixture}/hf`,
    recording: `fixtures/recordings/${fixture}-transformers-5.17.0.safetensors`,
  },
  {
    fixture,
    engine: 'big_vision',
    checkpoint: `fixtures/${fixture}/bv_f32.npz`,
    recording: `fixtures/recordings/${fixture}.npz-jax-0.10.2.safetensors`,
  },
]);

/** Two and three pictures in one prompt, by each original. */
const FRAMES: readonly RecordedByOriginal[] = [
  {
    fixture: 'pg1-tiny',
    engine: 'transformers',
    checkpoint: 'fixtures/pg1-tiny/hf',
    recording: 'fixtures/recordings/pg1-tiny-frames-transformers-5.17.0.safetensors',
  },
  {
    fixture: 'pg2-tiny',
    engine: 'big_vision',
    checkpoint: 'fixtures/pg2-tiny/bv_f32.npz',
    recording: 'fixtures/recordings/pg2-tiny-frames.npz-jax-0.10.2.safetensors',
  },
];

export const ORIGINALS = [...ONE_PICTURE, ...FRAMES];

/** Of writeOwnCheckpoint with 1600 rows (own_tokens.ts), by transformers. */
export const OWN_TOKENS_RECORDING = 'fixtures/recordings/own-tokens-transformers.safetensors';
