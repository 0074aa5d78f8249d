import type { Tensor, Tfjs } from '../driver/tfjs.ts';
import { uniforms, type ProgramBackend, type WebgpuProgram } from './programs.ts';

const LANES = 64;

/**
 * int32 [count, …] of an int32 tensor: entries of its first axis from `first` on, bit by bit. Kernels of tfjs's webgpu
 * backend move integers through f32 (webgpu_program.ts, setOutputAtIndex), which loses the low bits of a word of codes.
 */
export function wordRows(tf: Tfjs, tensor: Tensor, first: number, count: number): Tensor {
  const rest = tensor.shape.slice(1);
  const shape = [count, ...rest];
  if (tf.getBackend() !== 'webgpu') return tf.slice(tensor, [first, ...rest.map(() => 0)], shape);
  const width = rest.reduce((product, size) => product * size, 1);
  const made = (tf.backend() as unknown as ProgramBackend).runWebGPUProgram(
    copy(shape, count * width),
    [tensor],
    'int32',
    uniforms(first * width, count * width),
  );
  return tf.engine().makeTensorFromTensorInfo(made);
}

function copy(outputShape: number[], words: number): WebgpuProgram {
  return {
    outputShape,
    variableNames: ['words'],
    variableComponents: [1],
    uniforms: 'first_word : i32, word_count : i32,',
    shaderKey: 'pg_word_rows',
    workgroupSize: [LANES, 1, 1],
    // flat: tfjs gives main the index of the result
    dispatchLayout: { x: outputShape.map((_, axis) => axis), y: [] },
    dispatch: [Math.ceil(words / LANES), 1, 1],
    getUserCode: () => `
fn main(index : i32) {
  if (index < uniforms.word_count) { result[index] = words[uniforms.first_word + index]; }
}
`,
  };
}
