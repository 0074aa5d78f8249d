import type { Artifact, Backend, EmitOptions } from '../../backends/backend.ts';
import { onnx } from '../../backends/onnx/index.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Constant, Program } from '../../ir/graph.ts';
import { printGraph } from '../../ir/print.ts';
import { rewriteGraph } from '../../ir/rewrite.ts';
import { readTensor, tensorData, type TensorData } from '../../ir/tensor.ts';

/**
 * A backend with the traits of `wgsl` that writes the text of its graphs, and runs in the evaluator what it wrote last.
 */
export interface ShaderBackend extends Backend {
  readonly emitted: readonly { readonly program: Program; readonly options: EmitOptions }[];
}

export function shaderBackend(): ShaderBackend {
  const emitted: { program: Program; options: EmitOptions }[] = [];
  const held = new Map<Constant, TensorData>();
  const refusal = { reason: 'WGSL has no bf16', instead: 'fp16 or fp32' };
  return {
    name: 'wgsl',
    dtypes: onnx.dtypes,
    native: onnx.native,
    devices: ['webgpu'],
    targets: [],
    choices: [],
    refusal: (precision) =>
      ({ bf16: refusal, q4f16: { reason: 'activations are f32 on every device', instead: 'int4' } })[precision],
    floatZeros: true,
    narrowing: (dtype) => (dtype === 'f16' ? 'store' : refusal),
    emitted,
    emit(program, options): Artifact {
      emitted.push({ program, options });
      return {
        files: program.graphs.map((graph) => {
          const bytes = new TextEncoder().encode(printGraph(graph));
          return {
            path: `graphs/${graph.name}.ir`,
            byteLength: bytes.byteLength,
            async *chunks() {
              // codes are made while a bundle is written, not afterwards
              for (const constant of graph.constants)
                if (constant.kind === 'weight') held.set(constant, tensorData(await readTensor(constant.data)));
              yield { bytes: bytes.slice() };
            },
          };
        }),
      };
    },
    async open() {
      const { program } = emitted.at(-1)!;
      const constants = (constant: Constant): Constant =>
        constant.kind === 'weight' ? { ...constant, data: held.get(constant)! } : constant;
      return evaluatorRunner({
        ...program,
        graphs: program.graphs.map((graph) => rewriteGraph(graph, () => undefined, constants)),
      });
    },
  };
}
