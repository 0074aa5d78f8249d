import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rawSafetensors } from '../../checkpoints/testing/raw_safetensors.ts';
import { refused, taken, type HostileInput, type Outcome } from './entry.ts';

const BASE = 'fixtures/pg1-tiny/hf';

/** An adapter of the fixtures, whose files may be edited. */
const adapter = (
  input: string,
  name: string,
  outcome: Outcome,
  edit?: (config: Record<string, unknown>, dir: string) => Promise<unknown> | void,
  base = BASE,
): HostileInput => ({
  input,
  outcome,
  async make(dir) {
    await cp(`fixtures/adapters/${name}`, dir, { recursive: true });
    if (edit) {
      const path = join(dir, 'adapter_config.json');
      const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
      await edit(config, dir);
      await writeFile(path, JSON.stringify(config));
    }
    return ['inspect', base, '--adapter', dir];
  },
});

const Q = 'base_model.model.model.language_model.layers.0.self_attn.q_proj';
const weights = (dir: string, tensors: Parameters<typeof rawSafetensors>[0]) =>
  writeFile(join(dir, 'adapter_model.safetensors'), rawSafetensors(tensors));

export const ADAPTER_INPUTS: readonly HostileInput[] = [
  adapter('A without B', 'lora', refused('adapter_half'), (_, dir) =>
    weights(dir, { [`${Q}.lora_A.weight`]: ['F32', [3, 64]] }),
  ),
  adapter('a rank that the config does not say', 'lora', refused('adapter_rank'), (config) => {
    config['r'] = 5;
  }),
  adapter('DoRA', 'dora', taken()),
  adapter('DoRA and rsLoRA', 'dora-rslora-pg2', taken(), undefined, 'fixtures/pg2-tiny/hf'),
  adapter('whole modules (`modules_to_save`)', 'embedding-saved', taken()),
  adapter('`rank_pattern` and `alpha_pattern`', 'lora', taken(), (config) => {
    config['rank_pattern'] = { '.*[qv]_proj': 3 };
    config['alpha_pattern'] = { 'layers.1.self_attn.q_proj': 16 };
  }),
  ...['alora_invocation_tokens', 'arrow_config', 'layer_replication', 'target_parameters'].map((field) =>
    adapter(`\`${field}\`, which is not implemented`, 'lora', refused('unsupported_adapter'), (config) => {
      config[field] = [1];
    }),
  ),
  adapter('another method (IA3)', 'lora', refused('unsupported_adapter'), (config) => {
    config['peft_type'] = 'IA3';
  }),
  adapter('an adapter of another base', 'lora', refused('adapter_wrong_base'), undefined, 'fixtures/shapes/hf'),
  adapter('no module that the base has', 'lora', refused('adapter_no_match'), (_, dir) =>
    weights(dir, {
      'base_model.model.other.lora_A.weight': ['F32', [3, 64]],
      'base_model.model.other.lora_B.weight': ['F32', [64, 3]],
    }),
  ),
  adapter('a pattern of another engine (look-ahead)', 'lora', refused('bad_config'), (config) => {
    config['rank_pattern'] = { '(?=q)q_proj': 3 };
  }),
];
