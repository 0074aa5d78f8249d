/** Which part of a module's adapter a tensor is. */
export type Part =
  | 'lora_A'
  | 'lora_B'
  | 'lora_B.bias'
  | 'lora_embedding_A'
  | 'lora_embedding_B'
  | 'magnitude'
  | 'tokens'
  | 'full'
  | 'base_layer';

/** What the name of an adapter's tensor says. */
export interface TensorName {
  readonly part: Part;
  /** The parameter of the base model that it changes: the first of these that the model has. */
  readonly parameters: readonly string[];
}

/** An adapter's name may stand behind each of PEFT's own: `lora_A.default.weight`. save_pretrained leaves it out. */
const PARTS: readonly (readonly [RegExp, Part, 'weight' | 'bias'])[] = [
  [/^(.+)\.lora_A(?:\.[^.]+)?\.weight$/, 'lora_A', 'weight'],
  [/^(.+)\.lora_B(?:\.[^.]+)?\.weight$/, 'lora_B', 'weight'],
  [/^(.+)\.lora_B(?:\.[^.]+)?\.bias$/, 'lora_B.bias', 'bias'],
  [/^(.+)\.lora_embedding_A(?:\.[^.]+)?$/, 'lora_embedding_A', 'weight'],
  [/^(.+)\.lora_embedding_B(?:\.[^.]+)?$/, 'lora_embedding_B', 'weight'],
  [/^(.+)\.lora_magnitude_vector(?:\.[^.]+)?(?:\.weight)?$/, 'magnitude', 'weight'],
  // what PEFT calls a delta is the rows themselves, which take the place of the table's (TrainableTokensLayer)
  [/^(.+)\.token_adapter\.trainable_tokens_delta(?:\.[^.]+)?$/, 'tokens', 'weight'],
  [/^(.+)\.base_layer\.weight$/, 'base_layer', 'weight'],
  [/^(.+)\.base_layer\.bias$/, 'base_layer', 'bias'],
];

/**
 * Reads a tensor's name as PEFT writes it: `base_model.model.<module>.lora_A.weight` and its kind, whole parameters
 * (`modules_to_save`, `bias`), and what an adapted layer wraps (`base_layer`).
 */
export function parseTensorName(name: string): TensorName {
  const path = name.replace(/^base_model\.model\./, '');
  for (const [pattern, part, kind] of PARTS) {
    const module = pattern.exec(path)?.[1];
    if (module !== undefined) return { part, parameters: [`${module}.${kind}`] };
  }
  const [, module, rest] = /^(.+?)\.modules_to_save\.(.+)$/.exec(path) ?? [];
  if (module === undefined || rest === undefined) return { part: 'full', parameters: [path] };
  // What follows is `default.linear.weight` or `linear.weight`: only the model knows whether `default` is a module of
  // its.
  const withoutFirst = rest.replace(/^[^.]+\./, '');
  return {
    part: 'full',
    parameters: withoutFirst === rest ? [`${module}.${rest}`] : [`${module}.${withoutFirst}`, `${module}.${rest}`],
  };
}
