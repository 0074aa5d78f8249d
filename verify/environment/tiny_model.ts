import { onnx } from 'onnx-proto';

/** `y = tanh(x · w)`, x f32[n, 2], y f32[n, 3], written by a library that shares nothing with the ONNX backend. */
export function tinyModel(): Uint8Array {
  const weights = new Float32Array([0.1, -0.2, 0.3, 0.4, 0.5, -0.6]);
  const float = onnx.TensorProto.DataType.FLOAT;
  const port = (name: string, columns: number): onnx.IValueInfoProto => ({
    name,
    type: { tensorType: { elemType: float, shape: { dim: [{ dimParam: 'n' }, { dimValue: columns }] } } },
  });
  const model = onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'tiny',
      node: [
        { opType: 'MatMul', input: ['x', 'w'], output: ['product'] },
        { opType: 'Tanh', input: ['product'], output: ['y'] },
      ],
      input: [port('x', 2)],
      output: [port('y', 3)],
      initializer: [{ name: 'w', dataType: float, dims: [2, 3], rawData: new Uint8Array(weights.buffer) }],
    },
  });
  return onnx.ModelProto.encode(model).finish();
}

/** An input of the tiny model, f32[2, 2], and its output f32[2, 3] in double precision. */
export const TINY_INPUT: readonly number[] = [1, -2, 0.5, 3];
export const TINY_OUTPUT: readonly number[] = [
  [1 * 0.1 - 2 * 0.4, 1 * -0.2 - 2 * 0.5, 1 * 0.3 - 2 * -0.6],
  [0.5 * 0.1 + 3 * 0.4, 0.5 * -0.2 + 3 * 0.5, 0.5 * 0.3 + 3 * -0.6],
]
  .flat()
  .map(Math.tanh);
