import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { readTree } from '../../verify/environment/markdown.ts';
import { recordingSchema } from './description.ts';

const PATH = 'docs/schemas/recording.schema.json';

// For those who write recordings with programs of their own; UPDATE_GOLDEN=1 writes it anew.
it(`${PATH} is the schema that is read by`, () => {
  const { $schema, ...rest } = z.toJSONSchema(recordingSchema, { io: 'input' });
  const text = `${JSON.stringify({ $schema, title: 'The JSON of a recording (docs/recording.md)', ...rest }, null, 2)}\n`;
  if (process.env['UPDATE_GOLDEN']) writeFileSync(fileURLToPath(new URL(`../../${PATH}`, import.meta.url)), text);
  expect(readTree(PATH)).toBe(text);
});

it('docs/recording.md says what each field of it is', () => {
  const page = readTree('docs/recording.md');
  const names = (fields: object): readonly string[] =>
    Object.entries(fields).flatMap(([name, value]) => [
      ...(name === 'properties' ? Object.keys(value as object) : []),
      ...(typeof value === 'object' && value !== null ? names(value as object) : []),
    ]);
  const fields = [...new Set(names(z.toJSONSchema(recordingSchema, { io: 'input' })))];
  expect(fields.length).toBeGreaterThan(30);
  expect(fields.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
