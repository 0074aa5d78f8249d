import { z } from 'zod';
import { BadInputError } from '../../errors.ts';
import { ModulePatterns } from './module_pattern.ts';

const rank = z
  .int()
  .positive()
  .max(1 << 20);
const alpha = z.number().finite();
const flag = z.boolean().nullish();
const id = z.int().nonnegative();
const names = z.union([z.string(), z.array(z.string())]).nullish();

/** The fields of adapter_config.json that decide what the tensors mean, with PEFT's defaults. */
const schema = z.looseObject({
  peft_type: z.literal('LORA'),
  base_model_name_or_path: z.string().nullish(),
  r: rank.default(8),
  lora_alpha: alpha.default(8),
  use_rslora: flag,
  use_dora: flag,
  fan_in_fan_out: flag,
  lora_bias: flag,
  bias: z.enum(['none', 'all', 'lora_only']).nullish(),
  rank_pattern: z.record(z.string(), rank).nullish(),
  alpha_pattern: z.record(z.string(), alpha).nullish(),
  target_modules: names,
  modules_to_save: z.array(z.string()).nullish(),
  trainable_token_indices: z.union([z.array(id), z.record(z.string(), z.array(id))]).nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});

/** What adapter_config.json says, as far as it concerns merged weights. */
export interface AdapterConfig {
  readonly file: string;
  /** The model it was trained on, as its author called it. */
  readonly baseModel: string | undefined;
  readonly rank: number;
  readonly alpha: number;
  /** Whether alpha is divided by the root of the rank: rsLoRA (arXiv:2312.03732). */
  readonly rankStabilized: boolean;
  /** Whether rows are normalized and scaled by a magnitude: DoRA (arXiv:2402.09353). */
  readonly dora: boolean;
  readonly rankPattern: ModulePatterns;
  readonly alphaPattern: ModulePatterns;
  /** Ends of module names, or one regular expression. */
  readonly targetModules: readonly string[] | string | undefined;
  readonly modulesToSave: readonly string[];
  /** Ids of the tokens whose rows were trained by themselves, by the end of the module's name. */
  readonly tokenIds: ReadonlyMap<string, readonly number[]>;
}

const MERGE_IN_PYTHON =
  'merge it in Python, PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(out), and convert that folder';
const NO_MERGE =
  'it depends on the input, so no merged weights can stand for it: convert the base model, or train a LoRA';

/** Methods that no merged weight can stand for: they add tokens, or mix adapters by input. */
const NOT_WEIGHTS = new Set([
  'PROMPT_TUNING',
  'MULTITASK_PROMPT_TUNING',
  'P_TUNING',
  'PREFIX_TUNING',
  'ADAPTION_PROMPT',
  'CPT',
  'CARTRIDGE',
  'POLY',
  'XLORA',
  'SHADOW',
]);

/** Parts of PEFT's LoRA that change what is computed and are not implemented here. */
const REFUSED: Readonly<Record<string, { readonly what: string; readonly hint: string }>> = {
  alora_invocation_tokens: { what: 'Activated LoRA, which acts after certain tokens only', hint: NO_MERGE },
  arrow_config: { what: 'Arrow routing between adapters', hint: NO_MERGE },
  kasa_config: { what: 'KaSA, which changes the base weights', hint: MERGE_IN_PYTHON },
  layer_replication: { what: 'replicated layers', hint: MERGE_IN_PYTHON },
  megatron_config: { what: 'Megatron’s parallel layers', hint: 'save it from a model without Megatron' },
  monteclora_config: { what: 'MonteCLoRA', hint: MERGE_IN_PYTHON },
  target_parameters: { what: 'LoRA on parameters rather than modules', hint: MERGE_IN_PYTHON },
  use_bdlora: { what: 'block-diagonal LoRA', hint: MERGE_IN_PYTHON },
  use_qalora: { what: 'QALoRA', hint: MERGE_IN_PYTHON },
  velora_config: { what: 'VeLoRA', hint: MERGE_IN_PYTHON },
};

/**
 * Starts that take what they give to A and B off the base weights: the adapter fits the base that is left, not the one
 * on disk.
 */
const CHANGES_BASE = /^(?:pissa(?:_.*)?|olora|corda.*|lora_ga|loftq)$/;

/** Fields that are known to leave merged weights alone: whatever else is set is said in a warning. */
const HARMLESS = new Set([
  ...Object.keys(schema.shape),
  ...[
    'auto_mapping',
    'peft_version',
    'revision',
    'task_type',
    'inference_mode',
    'lora_dropout',
    'megatron_core',
    'qalora_group_size',
    'ensure_weight_tying',
  ],
  ...[
    'exclude_modules',
    'layers_pattern',
    'layers_to_transform',
    'loftq_config',
    'eva_config',
    'corda_config',
    'lora_ga_config',
    'runtime_config',
  ],
]);

/**
 * The config of a LoRA or DoRA adapter.
 * @throws BadInputError naming the field whose value cannot be, the method that is not LoRA, or the feature of LoRA
 * that is not implemented.
 */
export function parseAdapterConfig(
  value: Readonly<Record<string, unknown>>,
  file: string,
): { config: AdapterConfig; warnings: readonly string[] } {
  const method = value['peft_type'];
  if (typeof method !== 'string')
    throw new BadInputError('bad_config', 'adapter_config.json has no peft_type', {
      file,
      hint: 'take adapter_config.json from where the adapter was saved with PEFT’s save_pretrained',
    });
  if (method !== 'LORA')
    throw new BadInputError(
      'unsupported_adapter',
      `the adapter is ${method.slice(0, 40)}; only LORA (with rsLoRA and DoRA) is implemented`,
      { file, hint: NOT_WEIGHTS.has(method) ? NO_MERGE : MERGE_IN_PYTHON },
    );
  const result = schema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    const field = issue.path.join('.') || 'the file';
    throw new BadInputError('bad_config', `${field}: ${issue.message}`, {
      file,
      hint: `correct ${field}, or take adapter_config.json from where the adapter was saved`,
    });
  }
  const { data } = result;
  for (const [field, { what, hint }] of Object.entries(REFUSED))
    if (isSet(data[field]))
      throw new BadInputError('unsupported_adapter', `the adapter uses ${what} (${field}), which is not implemented`, {
        file,
        hint,
      });
  if (typeof data.init_lora_weights === 'string' && CHANGES_BASE.test(data.init_lora_weights.toLowerCase()))
    throw new BadInputError(
      'unsupported_adapter',
      `the adapter began with ${data.init_lora_weights} (init_lora_weights), which changed the base weights too`,
      {
        file,
        hint: 'save it as a plain LoRA with save_pretrained(out, path_initial_model_for_weight_conversion=…), or give it with the base it left; for the latter set init_lora_weights to true',
      },
    );
  const unknown = Object.keys(data).filter(
    (field) => !HARMLESS.has(field) && !Object.hasOwn(REFUSED, field) && isSet(data[field]),
  );
  const warnings = [
    ...(unknown.length > 0
      ? [
          `adapter_config.json sets ${unknown.slice(0, 5).join(', ')}, which this version does not know: PEFT may compute something else.`,
        ]
      : []),
    // PEFT itself resets the flag for linear layers; and a canonical weight is [out, in] whatever the file's order,
    // which is the order of B·A.
    ...(data.fan_in_fan_out
      ? [
          'fan_in_fan_out is set, but PaliGemma has no layer that stores its weight that way: the flag has no effect, in PEFT neither.',
        ]
      : []),
  ];
  return {
    warnings,
    config: {
      file,
      baseModel: data.base_model_name_or_path ?? undefined,
      rank: data.r,
      alpha: data.lora_alpha,
      rankStabilized: data.use_rslora ?? false,
      dora: data.use_dora ?? false,
      rankPattern: new ModulePatterns(data.rank_pattern ?? {}, { file }),
      alphaPattern: new ModulePatterns(data.alpha_pattern ?? {}, { file }),
      targetModules: data.target_modules ?? undefined,
      modulesToSave: data.modules_to_save ?? [],
      // a list without a name is of the input embedding
      tokenIds: new Map(
        Array.isArray(data.trainable_token_indices)
          ? [['embed_tokens', data.trainable_token_indices]]
          : Object.entries(data.trainable_token_indices ?? {}),
      ),
    },
  };
}

/** Rank of a module by the config, and what B·A is multiplied by: alpha / rank, or alpha / √rank (rsLoRA). */
export function scalingOf(config: AdapterConfig, module: string): { rank: number; scaling: number } {
  const moduleRank = config.rankPattern.firstMatch(module) ?? config.rank;
  const moduleAlpha = config.alphaPattern.firstMatch(module) ?? config.alpha;
  return { rank: moduleRank, scaling: moduleAlpha / (config.rankStabilized ? Math.sqrt(moduleRank) : moduleRank) };
}

function isSet(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return Boolean(value);
  return Object.keys(value).length > 0;
}
