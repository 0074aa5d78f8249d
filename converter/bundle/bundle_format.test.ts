import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import * as mini from 'zod/mini';
import { planSchema } from '../../backends/tfjs/plan.ts';
import { readTree, section, tableRows } from '../../verify/environment/markdown.ts';
import { manifestSchema } from './manifest.ts';

/* docs/bundle-format.md is held to the schemas by which bundles are read. */

const page = readTree('docs/bundle-format.md');

/** A JSON Schema, as far as it names fields. */
interface Fields {
  readonly properties?: Readonly<Record<string, Fields>>;
  readonly items?: Fields;
  readonly anyOf?: readonly Fields[];
  readonly oneOf?: readonly Fields[];
}

/** Names of all fields, at any depth. */
function namesOf({ properties = {}, items, anyOf = [], oneOf = [] }: Fields): readonly string[] {
  const inside = [...Object.values(properties), ...(items ? [items] : []), ...anyOf, ...oneOf];
  return [...new Set([...Object.keys(properties), ...inside.flatMap(namesOf)])];
}

/** Words in the font of code in a text; of `graphs.tables.runs` each part. */
function codeIn(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/`([^`]+)`/g)].flatMap(([, code]) => code!.split('.')));
}

/** Fields in the first column of the tables of a text. */
function fieldsIn(text: string): readonly string[] {
  return tableRows(text).flatMap(([first]) =>
    [...first!.matchAll(/`([\w.]+)`/g)].map(([, field]) => field!.split('.').at(-1)!),
  );
}

describe('docs/bundle-format.md', () => {
  it('has every field of manifest.json', () => {
    const part = section(page, 'manifest.json, of every bundle');
    const names = namesOf(z.toJSONSchema(manifestSchema) as Fields);
    expect(names.length).toBeGreaterThan(40);
    expect(names.filter((name) => !codeIn(part).has(name))).toEqual([]);
    expect(fieldsIn(part).filter((field) => !names.includes(field))).toEqual([]);
  });

  it('has every field of tfjs.json', () => {
    const part = section(page, 'TensorFlow.js').split('Fields of `tfjs.json`:')[1]!;
    const names = namesOf(mini.toJSONSchema(planSchema) as Fields);
    const ofModel = namesOf((mini.toJSONSchema(planSchema) as Fields).properties!['model']!);
    // what tfjs's own weightsManifest has is tfjs's to say
    const ofTfjs = new Set(['paths', 'quantization', 'scale', 'min', 'kind', 'weight', 'codes']);
    expect(names.filter((name) => !ofModel.includes(name) && !ofTfjs.has(name) && !codeIn(part).has(name))).toEqual([]);
    expect(fieldsIn(part).filter((field) => !names.includes(field))).toEqual([]);
  });

  it('has every table of manifest.pgw with its fields', () => {
    const source = readTree('backends/wgsl/bundle/manifest.fbs').replaceAll(/\/\/.*/g, '');
    const tables = [...source.matchAll(/table (\w+) \{([^}]*)\}/g)].map(
      ([, name, body]) => [name!, [...body!.matchAll(/(\w+):/g)].map(([, field]) => field!)] as const,
    );
    const rows = tableRows(section(page, 'WGSL')).flatMap(([name, fields]) => {
      const table = /^`([A-Z]\w+)`$/.exec(name!)?.[1];
      return table === undefined || table === 'Model' ? [] : [[table, [...codeIn(fields!)].toSorted()] as const];
    });
    const expected = tables
      .filter(([name]) => name !== 'Manifest' && name !== 'Model')
      .map(([name, fields]) => [name, fields.toSorted()] as const);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(expected));
  });
});
