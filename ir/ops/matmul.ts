import { broadcastOffsets, broadcastShapes } from '../broadcast.ts';
import { sameDim } from '../dim.ts';
import type { NumberArray } from '../dtypes/codec.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { isFloat } from '../dtypes/index.ts';
import { printType, tensorType } from '../type.ts';

/**
 * Adds a[k] · b[k, n] to a row of n sums, each in the order of k; four products at a time, so that a sum is read and
 * written once for them.
 */
function addProduct(row: Float64Array, a: NumberArray, atA: number, b: NumberArray, atB: number, k: number): void {
  const n = row.length;
  let j = 0;
  for (; j + 4 <= k; j += 4) {
    const [x0, x1, x2, x3] = [a[atA + j]!, a[atA + j + 1]!, a[atA + j + 2]!, a[atA + j + 3]!];
    const at = atB + j * n;
    for (let c = 0; c < n; c++)
      row[c] = row[c]! + x0 * b[at + c]! + x1 * b[at + n + c]! + x2 * b[at + 2 * n + c]! + x3 * b[at + 3 * n + c]!;
  }
  for (; j < k; j++) {
    const x = a[atA + j]!;
    for (let c = 0, at = atB + j * n; c < n; c++) row[c] = row[c]! + x * b[at + c]!;
  }
}

export const matmul = primitive({
  name: 'matmul',
  doc: 'a[..., M, K] · b[..., K, N]; leading axes broadcast. Products are summed in at least f32.',
  operands: ['a', 'b'],
  attrs: {},
  traits: [],
  castPolicy: 'compute',
  infer([a, b]) {
    const fits = a!.dtype === b!.dtype && isFloat(a!.dtype) && a!.shape.length >= 2 && b!.shape.length >= 2;
    expectType(fits && sameDim(a!.shape.at(-1)!, b!.shape.at(-2)!), `matmul of ${printType(a!)} and ${printType(b!)}`);
    return [
      tensorType(a!.dtype, [
        ...broadcastShapes([a!.shape.slice(0, -2), b!.shape.slice(0, -2)]),
        a!.shape.at(-2)!,
        b!.shape.at(-1)!,
      ]),
    ];
  },
  evaluate([a, b]) {
    const [m, k, n] = [a!.shape.at(-2)!, a!.shape.at(-1)!, b!.shape.at(-1)!];
    const [leadA, leadB] = [a!.shape.slice(0, -2), b!.shape.slice(0, -2)];
    const lead = broadcastShapes([leadA, leadB]) as number[];
    const [matrixA, matrixB] = [broadcastOffsets(leadA, lead), broadcastOffsets(leadB, lead)];
    const shape = [...lead, m, n];
    const data = new Float64Array(elementCount(shape));
    for (let batch = 0; batch < elementCount(lead); batch++) {
      const baseA = (matrixA ? matrixA[batch]! : batch) * m * k;
      const baseB = (matrixB ? matrixB[batch]! : batch) * k * n;
      for (let i = 0; i < m; i++)
        addProduct(
          data.subarray((batch * m + i) * n, (batch * m + i + 1) * n),
          a!.data,
          baseA + i * k,
          b!.data,
          baseB,
          k,
        );
    }
    return [{ shape, data }];
  },
});
