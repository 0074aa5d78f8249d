import { afterAll, describe, expect, it } from 'vitest';
import { ops, type OpName } from '../../ir/ops/index.ts';
import { programOf } from '../testing/tiny_program.ts';
import { compile } from './compile/compile.ts';
import { expectConformance } from './testing/expect_conformance.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { deviceCases, type DeviceCase } from './testing/op_cases.ts';
import { openedBundle, type OpenedBundle } from './testing/opened_bundle.ts';

const names = Object.keys(ops) as OpName[];

/** What is none of this backend's: values rounded to f16, and a count of rows that is no input. */
function isRefused({ op, opCase }: DeviceCase): boolean {
  return (
    (op === 'cast' && opCase.attrs!['to'] === 'f16') || (op === 'take_last' && typeof opCase.operands[1] !== 'string')
  );
}

describe.each(names)('%s equals the evaluator', (op) => {
  const cases = deviceCases(op).filter((one) => !isRefused(one));
  let bundle: Promise<OpenedBundle> | undefined;
  // a device for each case would cost more than the cases; one that does not compile fails alone
  const opened = () => (bundle ??= openedBundle(programOf(...cases.filter(compiles).map(({ graph }) => graph))));
  afterAll(async () => {
    await (await bundle)?.[Symbol.asyncDispose]();
  });

  for (const one of cases)
    itOnGpu(one.title, async () => {
      compile(programOf(one.graph));
      await expectConformance((await opened()).runner, one);
    });
});

function compiles({ graph }: DeviceCase): boolean {
  try {
    compile(programOf(graph));
    return true;
  } catch {
    return false;
  }
}

describe('cases', () => {
  it('are of every op', () => {
    expect(names.filter((op) => deviceCases(op).every(isRefused))).toEqual([]);
  });

  it.each(names.flatMap(deviceCases).filter(isRefused))('$op: $title is refused', ({ graph }) => {
    expect(() => compile(programOf(graph))).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });
});
