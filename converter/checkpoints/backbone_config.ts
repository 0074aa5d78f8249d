type Fields = Record<string, unknown>;

/**
 * What config.json says of the vision-language model: ColPali and π0 are built on one, whose config they keep whole as
 * `vlm_config`, beside fields of their own and, for π0, the action expert's config.
 */
export function backboneConfig(config: Fields): Fields {
  const { vlm_config: backbone, dit_config: _, ...own } = config;
  return isFields(backbone) ? { ...own, ...backbone } : config;
}

function isFields(value: unknown): value is Fields {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
