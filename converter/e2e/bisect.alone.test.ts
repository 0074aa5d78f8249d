import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import type * as Lower from '../../backends/onnx/lower/index.ts';
import type * as Decompose from '../../ir/passes/decompose.ts';
import type { Pass } from '../../ir/passes/index.ts';
import { reportText } from '../../verify/report.ts';
import { convert } from '../compile/convert.ts';
import { VerificationFailed } from '../compile/verification_failed.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';
import { FAULT_KINDS } from '../testing/pass_faults.ts';

// A conversion whose pass, or whose lowering, has a fault: the report says which of both, and the message too.

const planted = vi.hoisted(() => ({ pass: false, lowering: false }));

vi.mock('../../ir/passes/decompose.ts', async (original) => {
  const real = await original<typeof Decompose>();
  return {
    ...real,
    decompose: (...args: Parameters<typeof real.decompose>): Pass => {
      const pass = real.decompose(...args);
      // the evaluator decomposes by it too, and everything
      if (!planted.pass || args[0].size === 0) return pass;
      return {
        ...pass,
        run: (graph) =>
          graph.name === 'decoder' ? FAULT_KINDS.swappedMatrices(pass.run(graph))!.graph : pass.run(graph),
      };
    },
  };
});

vi.mock('../../backends/onnx/lower/index.ts', async (original) => {
  const real = await original<typeof Lower>();
  const lowering: typeof real.lowering = {
    ...real.lowering,
    gelu_tanh(context, node) {
      if (!planted.lowering) return real.lowering.gelu_tanh!(context, node);
      context.emit('Relu', [context.tensor(node.inputs[0]!)], node.outputs[0]!);
    },
  };
  return { ...real, lowering };
});

afterEach(() => Object.assign(planted, { pass: false, lowering: false }));

const folder = tempFolders();
const made = async (verify: boolean) => {
  const out = join(await folder(), 'bundle');
  return convert(
    { checkpoint: 'fixtures/pg1-tiny/hf', backend: 'onnx', precision: 'fp16', out, verify },
    silentReporter,
  );
};

async function failureOf(work: Promise<unknown>): Promise<VerificationFailed> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VerificationFailed);
  return error as VerificationFailed;
}

test('a fault of a pass: convert names the pass in its message, and where it shows in its report', async () => {
  planted.pass = true;
  const { message, report } = await failureOf(made(true));
  expect(message).toMatch(/the first pass that changed values is decompose$/);
  expect(report.bisection?.fault).toMatchObject({ pass: 'decompose', graph: 'decoder', call: 'prefill', limit: 0 });
  expect(report.bisection!.passes.slice(0, -1).every(({ passed }) => passed)).toBe(true);
  expect(reportText(report)).toMatch(/^pass decompose changed values: graph decoder, prefill, stage lm\.\d/m);
});

test('a fault of a lowering: every pass kept the values', async () => {
  planted.lowering = true;
  const { message, report } = await failureOf(made(true));
  expect(message).not.toContain('pass');
  expect(report.bisection!.fault).toBeUndefined();
  expect(reportText(report)).toMatch(
    /^every pass kept the values .*: what differs came in lowering or in the runtime$/m,
  );
});

test('verify does so of a bundle that is there, and --bisect of one that is sound', async () => {
  planted.pass = true;
  const { out } = await made(false);
  const faulty = await verifyBundle({ bundle: out }, silentReporter);
  expect(faulty.passed).toBe(false);
  expect(faulty.bisection?.fault?.pass).toBe('decompose');
  planted.pass = false;
  const mended = await verifyBundle({ bundle: out }, silentReporter);
  expect(mended.passed).toBe(false);
  expect(mended.bisection!.fault).toBeUndefined();
  const sound = (await made(false)).out;
  expect((await verifyBundle({ bundle: sound }, silentReporter)).bisection).toBeUndefined();
  const looked = await verifyBundle({ bundle: sound, bisect: true }, silentReporter);
  expect(looked).toMatchObject({ passed: true, bisection: { passes: expect.any(Array) } });
  expect(looked.bisection!.fault).toBeUndefined();
  expect(reportText(looked)).toMatch(/^every pass kept the values \(\d+ looked at, \d+ evaluated/m);
});

test('--bisect against a recording is refused', async () => {
  const { out } = await made(false);
  await expect(
    verifyBundle({ bundle: out, against: 'fixtures/pg1-tiny/golden.safetensors', bisect: true }, silentReporter),
  ).rejects.toMatchObject({ code: 'bisect_without_checkpoint' });
});
