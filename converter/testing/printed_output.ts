import { OUTPUT_VERSIONS, type Output } from '../cli/io.ts';
import { outputSchema } from '../cli/schemas/index.ts';

/**
 * What a command printed with `--json`, held against the published schema that it names.
 * @throws Error for another kind than `kind`, where that is given; ZodError for what does not follow its schema
 */
export function printedOutput(text: string, kind?: Output): unknown {
  const json = JSON.parse(text) as { readonly schema?: unknown };
  const named = (Object.keys(OUTPUT_VERSIONS) as Output[]).find((name) => json.schema === `pgconv-${name}`);
  if (!named || (kind && kind !== named))
    throw new Error(`this is ${String(json.schema)}, not ${kind ?? 'any output'}`);
  outputSchema(named).parse(json);
  return json;
}
