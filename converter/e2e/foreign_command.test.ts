import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emittedBundle } from '../../backends/onnx/testing/emitted_bundle.ts';
import { likeOthers } from '../../backends/onnx/testing/like_others.ts';
import { castFloats, runPassesOnProgram } from '../../ir/passes/index.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { textOf } from '../cli/io.ts';
import { runCommandLine } from '../cli/main.ts';
import { readCheckpoint } from '../models/paligemma.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { soundProgram } from '../testing/fault.ts';

/* Options of `verify` and `inspect` for exports, as commands; what they compare is in foreign.slow.test.ts. */

const AGAINST = ['--against', 'fixtures/pg1-tiny/golden.safetensors'] as const;
type Export = Awaited<ReturnType<typeof emittedBundle>>;
let whole: Export;
let narrow: Export;

beforeAll(async () => {
  const checkpoint = await openCheckpoint('fixtures/pg1-tiny/hf');
  try {
    const program = soundProgram(readCheckpoint(checkpoint));
    whole = await emittedBundle(program);
    await likeOthers(whole.dir, { names: { logits: 'y', 'past_key_values.0.key': 'first_k' } });
    narrow = await emittedBundle(runPassesOnProgram(program, [castFloats({ to: 'f16' })]), 'fp16');
    await likeOthers(narrow.dir, { suffix: '_half' });
    // an embedding of each kind, which names alone tell apart
    await copyFile(
      join(narrow.dir, 'onnx', 'embed_tokens_half.onnx'),
      join(narrow.dir, 'onnx', 'embed_tokens_other.onnx'),
    );
  } finally {
    await checkpoint.close();
  }
});
afterAll(async () => {
  await Promise.all([whole, narrow].map((each) => each[Symbol.asyncDispose]()));
});

async function pgconv(...args: readonly string[]) {
  const said: { readonly out: string[]; readonly err: string[] } = { out: [], err: [] };
  const code = await runCommandLine(args, {
    out: (text) => said.out.push(textOf(text)),
    err: (text) => said.err.push(textOf(text)),
    reporter: () => silentReporter,
    signal: new AbortController().signal,
  });
  return { code, out: said.out.join('\n'), err: said.err.join('\n') };
}

async function verified(path: string, ...options: readonly string[]) {
  const { code, out, err } = await pgconv('verify', path, ...options, '--json');
  return { code, err, report: (out === '' ? undefined : JSON.parse(out)) as VerifyReport };
}

describe('--map', () => {
  it('names what inspect shows as unknown', async () => {
    const { out } = await pgconv('inspect', whole.dir);
    expect(out).toContain('an export by another program');
    expect(out).toMatch(/first_k +│ \? /);
    expect(out).toContain('input "first_k" is nothing that can be given');
    const { code, err } = await verified(whole.dir, ...AGAINST);
    expect(code).toBe(2);
    expect(err).toContain('--map ours=theirs');
    const map = ['--map', 'past_key_values.0.key=first_k', '--map', 'logits=y'];
    const { code: mapped, report } = await verified(whole.dir, ...AGAINST, ...map);
    expect([mapped, report.passed, report.precision]).toEqual([0, true, 'fp32']);
  });

  it('of one port twice is refused', async () => {
    const { code, err } = await pgconv('verify', whole.dir, ...AGAINST, '--map', 'logits=y', '--map', 'logits=z');
    expect(code).toBe(2);
    expect(err).toContain('mapped_twice: --map says that logits is y, and that it is z');
  });

  it.each([['first_k'], ['=first_k'], ['past_key_values.0.key=']])('%s is bad usage', async (value) => {
    const { code, err } = await pgconv('verify', whole.dir, ...AGAINST, '--map', value);
    expect(code).toBe(2);
    expect(err).toContain('--map');
  });
});

describe('--variant-suffix', () => {
  it('says which of several files', async () => {
    const { code, err } = await verified(narrow.dir, ...AGAINST);
    expect(code).toBe(2);
    expect(err).toContain('--variant-suffix');
    const { code: chosen, report } = await verified(narrow.dir, ...AGAINST, '--variant-suffix', '_half');
    expect([chosen, report.passed, report.precision]).toEqual([0, true, 'fp16']);
  });
});

describe('--dtype', () => {
  it('asks more or less of an export than its weights say', async () => {
    const half = ['--variant-suffix', '_half'];
    const strict = await verified(narrow.dir, ...AGAINST, ...half, '--dtype', 'fp32');
    expect([strict.code, strict.report.passed, strict.report.notes]).toEqual([
      1,
      false,
      expect.arrayContaining(['judged as fp32']),
    ]);
    const loose = await verified(narrow.dir, ...AGAINST, ...half, '--dtype', 'bf16');
    expect([loose.code, loose.report.precision]).toEqual([0, 'bf16']);
  });

  it('is one of those that there are', async () => {
    expect((await pgconv('verify', whole.dir, ...AGAINST, '--dtype', 'fp8')).code).toBe(2);
  });
});

it.each([
  ['--map', 'logits=y'],
  ['--variant-suffix', 'none'],
  ['--dtype', 'fp16'],
])('%s is refused where a manifest says it', async (option, value) => {
  const { code, err } = await pgconv('verify', 'fixtures/pg1-tiny', option, value);
  expect(code).toBe(2);
  expect(err).toContain(`${option} is of exports by other programs`);
});

it.each([
  ['--memory', '4GiB', 'is run whole'],
  ['--bisect', '', 'another program had others'],
])('%s is refused for an export', async (option, value, message) => {
  const { code, err } = await pgconv('verify', whole.dir, ...AGAINST, option, ...(value === '' ? [] : [value]));
  expect(code).toBe(2);
  expect(err).toContain(message);
});
