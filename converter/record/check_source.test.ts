import { describe, expect, it } from 'vitest';
import type { RecordingDescription } from './description.ts';
import { checkSource } from './check_source.ts';
import type { OpenRecording } from './open_recording.ts';

const file = (path: string, hash = 'a') => ({ path, bytes: 3, sha256: hash.repeat(64) });
const CHECKPOINT = [file('config.json', '0'), file('a.safetensors', '1'), file('b.safetensors', '2')];
const ADAPTER = [file('adapter_config.json', '3'), file('adapter_model.safetensors', '4')];
const MADE = {
  files: [...CHECKPOINT, ...ADAPTER.map((each) => ({ ...each, path: `adapter-1/${each.path}` }))],
  adapters: [{ scale: 1 }],
};

/** A recording of these files. */
function recorded(checkpoint = CHECKPOINT, adapters = [{ path: 'lora', scale: 1, files: ADAPTER }]): OpenRecording {
  const description = { checkpoint: { path: 'model', files: checkpoint }, adapters } as unknown as RecordingDescription;
  return {
    path: 'golden.safetensors',
    reference: { description: '', outcomes: new Map() },
    cases: [],
    stages: {},
    description,
  };
}

const MANY = {
  ...MADE,
  files: [...MADE.files, file('tokenizer.json', '9'), file('model.safetensors.index.json', '8')],
};

describe('a recording is of the checkpoint', () => {
  it('whose weights, configs and adapters it names', () => {
    expect(() => checkSource(recorded(), MADE)).not.toThrow();
  });

  it('whatever lies beside the weights', () => {
    expect(() => checkSource(recorded(), MANY)).not.toThrow();
    expect(() => checkSource(recorded([...CHECKPOINT.slice(1), file('x.json')]), MADE)).not.toThrow();
  });

  it('of which sizes alone are known yet', () => {
    const files = MADE.files.map(({ path, bytes }) => ({ path, bytes }));
    expect(() => checkSource(recorded(), { ...MADE, files })).not.toThrow();
    expect(() => checkSource(recorded(), { ...MADE, files: files.map((each) => ({ ...each, bytes: 4 })) })).toThrow(
      '"config.json" is not the file that the bundle was made of: its size differs',
    );
  });

  it('unless it does not say', () => {
    const { description: _, ...golden } = recorded();
    expect(() => checkSource(golden, MADE)).not.toThrow();
  });
});

it.each([
  ['weights differ', recorded([...CHECKPOINT.slice(0, 2), file('b.safetensors', 'f')]), '"b.safetensors" is not'],
  ['the config differs', recorded([file('config.json', 'f'), ...CHECKPOINT.slice(1)]), '"config.json" is not'],
  ['weights were not recorded', recorded(CHECKPOINT.slice(0, 2)), '"b.safetensors" of the bundle’s checkpoint'],
  ['others were recorded', recorded([...CHECKPOINT, file('c.npz')]), '"c.npz" was recorded'],
  [
    'the adapter differs',
    recorded(CHECKPOINT, [{ path: 'lora', scale: 1, files: [ADAPTER[0]!, file('adapter_model.safetensors', 'f')] }]),
    '"adapter-1/adapter_model.safetensors" is not',
  ],
  [
    'its rank differs',
    recorded(CHECKPOINT, [{ path: 'lora', scale: 1, files: [file('adapter_config.json', 'f'), ADAPTER[1]!] }]),
    '"adapter-1/adapter_config.json" is not',
  ],
  ['there was no adapter', recorded(CHECKPOINT, []), 'with adapters of strength []'],
  ['it was stronger', recorded(CHECKPOINT, [{ path: 'lora', scale: 2, files: ADAPTER }]), 'of strength [2]'],
])('refuses it when %s', (_, recording, message) => {
  expect(() => checkSource(recording, MADE)).toThrow(
    expect.objectContaining({
      code: 'recording_of_other',
      message: expect.stringContaining(message),
      place: expect.objectContaining({ file: 'golden.safetensors' }),
    }),
  );
});
