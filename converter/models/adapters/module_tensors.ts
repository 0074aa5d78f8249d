import type { TensorData } from '../../../ir/tensor.ts';
import { shorten } from '../../checkpoints/strict_json.ts';
import { BadInputError, type ErrorPlace } from '../../errors.ts';
import type { Adapter } from './adapter.ts';
import { parseTensorName, type Part } from './tensor_name.ts';

/** All that an adapter has for one weight of the base model. */
export interface ModuleTensors {
  /** Canonical name of the weight. */
  readonly weight: string;
  /** As the adapter spells it, without PEFT's prefix and `.weight`; a bias keeps its `.bias`. */
  readonly module: string;
  readonly parts: ReadonlyMap<Part, TensorData>;
}

/** The weights of the base, and how Hugging Face's parameter names lead to them. */
export interface BaseModel {
  has(weight: string): boolean;
  /** Canonical name of a parameter of any generation of names; undefined when the model has none. */
  canonicalName(parameter: string): string | undefined;
}

/** What makes sense together for one weight. */
const PARTNERS: readonly (readonly [Part, Part])[] = [
  ['lora_A', 'lora_B'],
  ['lora_embedding_A', 'lora_embedding_B'],
];
const FACTORS = new Set<Part>(['lora_A', 'lora_B', 'lora_embedding_A', 'lora_embedding_B', 'magnitude']);

/**
 * An adapter's tensors, by the weight they change.
 * @throws BadInputError when the model has not the parameters, a tensor is there twice, a factor is alone, or the
 * magnitudes of DoRA are missing or not announced.
 */
export function groupTensors(adapter: Adapter, base: BaseModel): readonly ModuleTensors[] {
  const groups = new Map<string, { module: string; parts: Map<Part, TensorData> }>();
  const unmatched: string[] = [];
  for (const [name, data] of adapter.tensors) {
    const { part, parameters } = parseTensorName(name);
    const found = parameters
      .map((parameter) => ({ parameter, weight: base.canonicalName(parameter) }))
      .find(({ weight }) => weight !== undefined && base.has(weight));
    if (!found?.weight) {
      if (part === 'lora_B.bias') refuseMissingBias(parameters[0]!, base, data, adapter);
      unmatched.push(name);
      continue;
    }
    const group = groups.get(found.weight) ?? {
      module: found.parameter.replace(/\.weight$/, ''),
      parts: new Map<Part, TensorData>(),
    };
    const other = group.parts.get(part);
    if (other)
      throw new BadInputError(
        'adapter_duplicate',
        `"${shorten(name)}" and "${shorten(other.from?.key ?? '?')}" are for the same weight`,
        {
          ...placeOf(data, name, adapter),
          hint: 'the file holds several adapters, or one under two names: save each by itself with PEFT’s save_pretrained',
        },
      );
    groups.set(found.weight, group);
    group.parts.set(part, data);
  }
  if (unmatched.length > 0) throw notMatched(adapter, unmatched);
  const modules = [...groups].map(([weight, group]) => ({ weight, ...group }));
  for (const module of modules) checkParts(module, adapter);
  checkTargets(modules, adapter);
  return modules;
}

/** Whether a weight is changed by factors, rather than replaced. */
export function hasFactors({ parts }: ModuleTensors): boolean {
  return [...parts.keys()].some((part) => FACTORS.has(part));
}

/** Gemma's layers have no bias that one of lora_B could be added to; PEFT cannot merge these either. */
function refuseMissingBias(parameter: string, base: BaseModel, data: TensorData, adapter: Adapter): void {
  const module = parameter.replace(/\.bias$/, '');
  const weight = base.canonicalName(`${module}.weight`);
  if (weight === undefined || !base.has(weight)) return;
  throw new BadInputError(
    'unsupported_adapter',
    `lora_bias gives "${shorten(module)}" a bias, and this layer of the model has none to add it to`,
    {
      ...placeOf(data, parameter, adapter),
      hint: 'train without lora_bias, or adapt the layers of the vision tower only, which have biases',
    },
  );
}

function notMatched(adapter: Adapter, unmatched: readonly string[]): BadInputError {
  const all = unmatched.length === adapter.tensors.size;
  const listed = unmatched
    .slice(0, 5)
    .map((name) => `"${shorten(name)}"`)
    .join(', ');
  const rest = unmatched.length > 5 ? `, and ${unmatched.length - 5} more` : '';
  const first = adapter.tensors.get(unmatched[0]!)!;
  return new BadInputError(
    all ? 'adapter_no_match' : 'adapter_unmatched',
    all
      ? `none of the adapter’s ${unmatched.length} tensors is for this model: ${listed}${rest}${trainedOn(adapter)}`
      : `${unmatched.length} of the adapter’s ${adapter.tensors.size} tensors are for nothing that this model has: ${listed}${rest}${trainedOn(adapter)}`,
    { ...placeOf(first, unmatched[0]!, adapter), hint: 'give the base model that the adapter was trained on' },
  );
}

/** `; it was trained on "google/paligemma-3b-pt-224"` */
export function trainedOn({ config: { baseModel } }: Adapter): string {
  return baseModel ? `; adapter_config.json says it was trained on "${shorten(baseModel)}"` : '';
}

function checkParts({ module, parts }: ModuleTensors, adapter: Adapter): void {
  const first = [...parts.values()][0]!;
  const fail = (code: string, message: string, hint: string, data = first): never => {
    throw new BadInputError(code, `"${shorten(module)}": ${message}`, {
      ...placeOf(data, data.from?.key ?? module, adapter),
      hint,
    });
  };
  const incomplete = 'the file is incomplete: save the adapter again, with all its shards gathered (DeepSpeed, FSDP)';
  for (const [a, b] of PARTNERS)
    for (const [here, missing] of [
      [a, b],
      [b, a],
    ] as const)
      if (parts.has(here) && !parts.has(missing))
        fail('adapter_half', `${here} is there and ${missing} is not`, incomplete, parts.get(here));
  if (parts.has('lora_A') && parts.has('lora_embedding_A'))
    fail(
      'adapter_duplicate',
      'both lora_A and lora_embedding_A are there',
      'save the adapter again with PEFT’s save_pretrained',
    );
  const low = parts.has('lora_A') || parts.has('lora_embedding_A');
  const magnitude = parts.get('magnitude');
  if (magnitude && !adapter.config.dora)
    fail(
      'adapter_dora',
      'lora_magnitude_vector is there, but adapter_config.json does not set use_dora',
      'set use_dora to true, or take the config that belongs to the weights',
      magnitude,
    );
  if (magnitude && !low)
    fail('adapter_half', 'lora_magnitude_vector is there and lora_A is not', incomplete, magnitude);
  if (adapter.config.dora && low && !magnitude)
    fail(
      'adapter_dora',
      'adapter_config.json sets use_dora, but lora_magnitude_vector is missing',
      'take the weights and the config from the same place; for a plain LoRA set use_dora to false',
    );
  if (parts.has('full') && (low || parts.has('base_layer')))
    fail(
      'adapter_duplicate',
      'the weight is both replaced and adapted',
      'save the adapter again with PEFT’s save_pretrained',
      parts.get('full'),
    );
}

/** An adapter whose config speaks of modules and whose file has none was saved without its weights. */
function checkTargets(modules: readonly ModuleTensors[], adapter: Adapter): void {
  const { targetModules } = adapter.config;
  if (targetModules === undefined || targetModules.length === 0 || modules.some(hasFactors)) return;
  const targets = typeof targetModules === 'string' ? `"${shorten(targetModules)}"` : shorten(targetModules.join(', '));
  throw new BadInputError(
    'adapter_no_match',
    `adapter_config.json adapts ${targets}, but no tensor of the file is a LoRA factor`,
    {
      file: adapter.files[0]!.path,
      hint: 'the file is incomplete: save the adapter again, with all its shards gathered (DeepSpeed, FSDP)',
    },
  );
}

/** Names in the config for which the file has nothing: PEFT lets them pass, and so does this, with a word. */
export function unusedTargets(
  modules: readonly ModuleTensors[],
  { name, config: { targetModules, modulesToSave } }: Adapter,
): readonly string[] {
  const adapted = modules.filter(hasFactors).map(({ module }) => module);
  const replaced = modules.filter((m) => !hasFactors(m)).map(({ module }) => module);
  const targets = typeof targetModules === 'string' || targetModules === undefined ? [] : targetModules;
  const missing = [
    ...targets.filter(
      (target) =>
        target !== 'all-linear' && !adapted.some((module) => module === target || module.endsWith(`.${target}`)),
    ),
    ...modulesToSave.filter((target) => !replaced.some((module) => `.${module}.`.includes(`.${target}.`))),
  ];
  return missing.length === 0
    ? []
    : [
        `${name}: adapter_config.json names ${missing.slice(0, 8).map(shorten).join(', ')}, for which the adapter has no tensors.`,
      ];
}

/** Where a tensor of an adapter lies, for messages. */
export function placeOf({ from }: TensorData, name: string, adapter: Adapter): ErrorPlace {
  return { file: from?.file ?? adapter.path, tensor: from?.key ?? name, ...(from && { offset: from.byteOffset }) };
}
