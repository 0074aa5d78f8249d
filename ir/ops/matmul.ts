import { broadcastOffsets, broadcastShapes } from '../broadcast.ts';
import { sameDim } from '../dim.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { isFloat } from '../dtypes/index.ts';
import { printType, tensorType } from '../type.ts';

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
      for (let i = 0; i < m; i++) {
        const row = data.subarray((batch * m + i) * n, (batch * m + i + 1) * n);
        for (let j = 0; j < k; j++) {
          const x = a!.data[baseA + i * k + j]!;
          const at = baseB + j * n;
          for (let c = 0; c < n; c++) row[c] = row[c]! + x * b!.data[at + c]!;
        }
      }
    }
    return [{ shape, data }];
  },
});
