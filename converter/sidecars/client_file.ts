import type { z } from 'zod';
import type { ClientFile } from '../../backends/client_files.ts';
import { BadInputError } from '../errors.ts';
import type { JsonFields, Sidecar } from './sidecar.ts';

/** The checkpoint's own text where nothing was changed, else the fields as JSON. */
export function jsonFile(name: string, fields: object, original?: Sidecar): ClientFile {
  return {
    name,
    text: original
      ? new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(original.bytes)
      : `${JSON.stringify(fields, null, 2)}\n`,
  };
}

/** @throws BadInputError naming the field whose value cannot be. */
export function checkFields(schema: z.ZodType, fields: JsonFields, file: string): void {
  const issue = schema.safeParse(fields).error?.issues[0];
  if (!issue) return;
  const field = issue.path.join('.');
  throw new BadInputError('bad_sidecar', `${field}: ${issue.message}`, {
    file,
    hint: `correct ${field}, or take the file of the original model again`,
  });
}

/** Fields with some of them set; tells those that were absent from those that said something else. */
export function setFields(
  fields: JsonFields,
  values: JsonFields,
): { fields: JsonFields; added: string[]; changed: string[] } {
  const entries = Object.entries(values);
  const isAbsent = (key: string) => !Object.hasOwn(fields, key) || fields[key] === null;
  return {
    fields: { ...fields, ...values },
    added: entries.flatMap(([key]) => (isAbsent(key) ? [key] : [])),
    changed: entries.flatMap(([key, value]) =>
      isAbsent(key) || JSON.stringify(fields[key]) === JSON.stringify(value) ? [] : [key],
    ),
  };
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
