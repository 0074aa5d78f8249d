import type { Program } from '../../../ir/graph.ts';
import type { Plan } from '../bundle/plan.ts';
import { layOutShards, shardChunks } from '../bundle/shards.ts';
import { compile, type CompileOptions } from '../compile/compile.ts';
import type { ShaderSource } from '../compile/shader_files.ts';
import { WgslRunner } from '../runner.ts';
import { Executor } from '../runtime/executor.ts';
import { testDevice, testLanguage } from './gpu.ts';

/** A program on the device of the tests, without files. @param edit changes shaders before they are compiled */
export async function memoryRunner(
  program: Program,
  options: CompileOptions = {},
  edit: (shaders: readonly ShaderSource[]) => readonly ShaderSource[] = (shaders) => shaders,
): Promise<WgslRunner> {
  const { plan, weights, shaders: compiled } = compile(program, options);
  const shaders = edit(compiled);
  const layout = layOutShards(weights);
  const whole: Plan = {
    ...plan,
    weights: layout.ranges,
    shards: layout.shards.map(({ path, byteLength }) => ({ path, byteLength, sha256: '' })),
    shaders: shaders.map(({ path, text }) => ({ path, byteLength: text.length, sha256: '' })),
  };
  const executor = await Executor.create(await testDevice(), whole, {
    async *readShard(index) {
      for await (const { bytes } of shardChunks(layout.shards[index]!, () => {})) yield bytes;
    },
    readShader: async (index) => shaders[index]!.text,
    language: await testLanguage(),
  });
  return new WgslRunner(executor, 'the test device', () => executor.dispose());
}
