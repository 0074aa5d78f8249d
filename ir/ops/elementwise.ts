import { runsOverLastAxes, type Loop } from '../arithmetic.ts';
import { broadcastShapes, mapBroadcast } from '../broadcast.ts';
import type { DType } from '../dtypes/index.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive, type CastPolicy, type Primitive } from '../op.ts';
import { takeF32, takeF64 } from '../scratch.ts';
import { printType, tensorType } from '../type.ts';

interface Elementwise<Name extends string> {
  readonly name: Name;
  readonly doc: string;
  readonly operands: readonly string[];
  readonly castPolicy: CastPolicy;
  readonly accepts?: (dtype: DType) => boolean;
  readonly result?: DType;
  readonly f: (...values: number[]) => number;
  /** The same of two operands, many elements at a time. */
  readonly loop?: Loop;
}

/** A primitive that applies `f` to broadcast operands of one dtype. */
export function elementwise<const Name extends string>({
  name,
  doc,
  operands,
  castPolicy,
  accepts = () => true,
  result,
  f,
  loop,
}: Elementwise<Name>): Primitive<Name, Record<never, never>, 'elementwise'> {
  return primitive({
    name,
    doc,
    operands,
    attrs: {},
    traits: ['elementwise'],
    castPolicy,
    infer(inputs) {
      const dtype = inputs[0]!.dtype;
      expectType(
        inputs.every((t) => t.dtype === dtype) && accepts(dtype),
        `${name} of ${inputs.map(printType).join(', ')}: one fitting dtype for all`,
      );
      return [tensorType(result ?? dtype, broadcastShapes(inputs.map((t) => t.shape)))];
    },
    evaluate(inputs) {
      const shape = broadcastShapes(inputs.map((t) => t.shape)) as number[];
      // a number that is stored as f32 is rounded once, as it would be behind float64
      const take = inputs[0]!.dtype === 'f32' ? takeF32 : takeF64;
      return [(loop && runsOverLastAxes(inputs, shape, loop, take)) ?? mapBroadcast(inputs, f, takeF64)];
    },
  });
}

export const numeric = (dtype: DType): boolean => dtype !== 'bool';
export const logical = (dtype: DType): boolean => dtype === 'bool';
export const floating = isFloat;
