import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Answer } from '../../samples/answer.ts';
import type { VerifyReport } from '../../../verify/verify.ts';
import { readTree } from '../../../verify/environment/markdown.ts';
import type { BundleFigures } from '../../compile/bench_bundles.ts';
import type { Finding } from '../../compile/examine.ts';
import type { Leftover } from '../../bundle/clean.ts';
import type { ConvertResult } from '../../compile/convert.ts';
import type { ErrorReport } from '../../errors.ts';
import type { QualityReport } from '../../quality/report.ts';
import { baselineSchema } from '../../report/baseline_file.ts';
import type { SynthResult } from '../../synth/synth.ts';
import { OUTPUT_VERSIONS, printed, type Output } from '../io.ts';
import type { errorReport } from './fields.ts';
import {
  outputSchema,
  type answer,
  type benched,
  type cleaned,
  type conversion,
  type examined,
  type synthesized,
} from './index.ts';
import type { quality } from './quality.ts';
import type { verification } from './verify.ts';

type NoNumber = 'NaN' | 'Infinity' | '-Infinity';

/** A type as JSON has it, with numbers that JSON lacks as numbers. */
type Plain<T> = T extends NoNumber
  ? never
  : T extends string | number | boolean | null
    ? T
    : T extends readonly (infer E)[]
      ? Plain<E>[]
      : { -readonly [K in keyof T]: Plain<Exclude<T[K], undefined>> };

/** The same with any text for each. */
type Wide<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends boolean
      ? boolean
      : T extends null
        ? T
        : T extends readonly (infer E)[]
          ? Wide<E>[]
          : { [K in keyof T]: Wide<T[K]> };

// two functions are the same type only where the conditions within are, letter by letter
/* oxlint-disable typescript/no-unnecessary-type-parameters */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/* oxlint-enable typescript/no-unnecessary-type-parameters */

/** Whether a schema has every field of a type, no other, and takes every value. */
type Fits<T, S> =
  Same<Wide<Plain<T>>, Wide<Plain<S>>> extends true
    ? Plain<T> extends Plain<S>
      ? true
      : 'a text that the schema does not know'
    : 'other fields, or fields of other types';

// the compiler holds these: what is printed and what its schema says cannot part
const fits: readonly true[] = [
  true satisfies Fits<VerifyReport, z.infer<typeof verification>>,
  true satisfies Fits<ConvertResult, z.infer<typeof conversion>>,
  true satisfies Fits<QualityReport, z.infer<typeof quality>>,
  true satisfies Fits<SynthResult, z.infer<typeof synthesized>>,
  true satisfies Fits<{ readonly leftovers: readonly Leftover[] }, z.infer<typeof cleaned>>,
  true satisfies Fits<
    { readonly runs: number; readonly tokens: number; readonly bundles: readonly BundleFigures[] },
    z.infer<typeof benched>
  >,
  true satisfies Fits<{ readonly findings: readonly Finding[] }, z.infer<typeof examined>>,
  true satisfies Fits<ErrorReport, z.infer<typeof errorReport>>,
  true satisfies Fits<Pick<Answer, 'text'>, Pick<z.infer<typeof answer>, 'text'>>,
];

const kinds = Object.keys(OUTPUT_VERSIONS) as readonly Output[];

/** What a schema file says; UPDATE_GOLDEN=1 writes it anew. */
function expectPublished(path: string, title: string, schema: z.ZodType): void {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  const text = `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
  if (process.env['UPDATE_GOLDEN']) writeFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), text);
  expect(readTree(path)).toBe(text);
}

describe('docs/schemas', () => {
  it.each(kinds)('has what --json prints: %s', (kind) => {
    const title = kind === 'error' ? 'Any command with --json that did not come to its end' : `pgconv ${kind} --json`;
    expectPublished(`docs/schemas/${kind}.schema.json`, title, outputSchema(kind));
  });

  it('has the file of --baseline', () => {
    expectPublished('docs/schemas/baseline.schema.json', 'The file of pgconv verify --baseline', baselineSchema);
  });

  it('is named with its version by what is printed, and refuses another', () => {
    const { text } = printed('synth', { path: '/x', tensors: 3, bytes: 4 });
    expect(JSON.parse(text)).toEqual({ schema: 'pgconv-synth', schemaVersion: 1, path: '/x', tensors: 3, bytes: 4 });
    expect(outputSchema('synth').safeParse(JSON.parse(text)).success).toBe(true);
    expect(outputSchema('run').safeParse(JSON.parse(text)).success).toBe(false);
    expect(outputSchema('synth').safeParse({ ...JSON.parse(text), schemaVersion: 2 }).success).toBe(false);
    expect(fits.length).toBeGreaterThan(0);
  });
});
