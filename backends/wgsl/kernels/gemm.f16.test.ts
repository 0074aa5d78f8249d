import { describe, expect } from 'vitest';
import { sym } from '../../../ir/dim.ts';
import { itOnF16Gpu } from '../../testing/gpu.ts';
import { testDevice } from '../testing/gpu.ts';
import { runLinear, type LinearCase, type LinearOutcome } from '../testing/linear_case.ts';
import { PLAIN, type Epilogue } from './epilogue.ts';
import { gemmKernel } from './gemm.ts';
import type { Kernel } from './kernel.ts';
import type { LinearSpec } from './linear.ts';

const F16 = { kind: 'f16' } as const;
const SEQ = sym('seq');
/** As gemm.gpu.test.ts has it. */
const TOLERANCE = 1e-6;

function product(rows: LinearSpec['rows'], columns: number, outputs: number): LinearSpec {
  return {
    rows,
    columns,
    matrices: [{ form: F16, outputs }],
    results: [{ kind: 'plain', parts: [{ matrix: 0, first: 0, count: outputs }], epilogue: PLAIN }],
  };
}

async function both(
  test: LinearCase,
  change: (kernel: Kernel) => Kernel = (kernel) => kernel,
): Promise<readonly [LinearOutcome, LinearOutcome]> {
  const device = await testDevice(['shader-f16']);
  const kernel = change(gemmKernel(test.spec));
  return [
    await runLinear(device, kernel, test),
    await runLinear(device, kernel, { ...test, features: ['shader-f16'] }),
  ];
}

/** The same numbers are multiplied and added in the same order: the variants agree to the bit. */
async function expectSame(test: LinearCase): Promise<void> {
  const [plain, halves] = await both(test);
  expect(halves.count).toBeGreaterThan(0);
  expect(halves.error).toBeLessThan(TOLERANCE);
  expect(halves.results).toEqual(plain.results);
}

describe('gemm with shader-f16', () => {
  itOnF16Gpu('any number of rows and columns', async () => {
    await expectSame({ spec: product([SEQ], 100, 67), sizes: { seq: 67 } });
    await expectSame({ spec: product([5], 33, 20) });
  });

  itOnF16Gpu('two parts in one expression', () => {
    const epilogue: Epilogue = { text: 'y0 * y1', operands: [], functions: [] };
    const parts = [
      { matrix: 0, first: 1, count: 20 },
      { matrix: 0, first: 21, count: 20 },
    ];
    return expectSame({
      spec: { ...product([20], 48, 41), results: [{ kind: 'plain', parts, epilogue }] },
      epilogue: (_, [a, b]) => a! * b!,
    });
  });

  itOnF16Gpu('shows when the other half of a vector is read', async () => {
    const swapped = (kernel: Kernel) => ({
      ...kernel,
      variants: kernel.variants!.map((v) => ({ ...v, body: v.body.replace('column % 8u == 4u', 'column % 8u == 0u') })),
    });
    const [plain, halves] = await both({ spec: product([5], 33, 20) }, swapped);
    expect(plain.error).toBeLessThan(TOLERANCE);
    expect(halves.error).toBeGreaterThan(1e-2);
  });
});
