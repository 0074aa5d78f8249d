import type { Program } from '../../../ir/graph.ts';
import type { Plan } from '../bundle/plan.ts';
import { layOutShards, shardChunks, type WeightLayout } from '../bundle/shards.ts';
import { compile, type CompileOptions } from '../compile/compile.ts';
import type { ShaderSource } from '../compile/shader_files.ts';
import { WgslRunner } from '../runner.ts';
import { Executor } from '../runtime/executor.ts';
import { testDevice, testLanguage } from './gpu.ts';

/** What a test may choose of a program on the device. */
export interface MemoryOptions extends CompileOptions {
  /** Changes shaders before they are compiled. */
  readonly edit?: (shaders: readonly ShaderSource[]) => readonly ShaderSource[];
  /** A number, or a shard for each weight. */
  readonly shardBytes?: number | 'each';
}

/** A program on the device of the tests, without files. */
export async function memoryRunner(program: Program, options: MemoryOptions = {}): Promise<WgslRunner> {
  const { plan, open } = memoryBundle(program, options);
  const executor = await open(plan);
  return new WgslRunner(executor, 'the test device', () => executor.dispose());
}

/** A compiled program, and what puts its plan, or a part of it, on the device of the tests. */
export function memoryBundle(
  program: Program,
  { edit = (shaders) => shaders, shardBytes, ...options }: MemoryOptions = {},
): { readonly plan: Plan; readonly open: (part: Plan) => Promise<Executor> } {
  const { plan: compiled, weights, shaders: written } = compile(program, options);
  const shaders = edit(written);
  const layout = shardBytes === 'each' ? oneEach(weights) : layOutShards(weights, shardBytes);
  const plan: Plan = {
    ...compiled,
    weights: layout.ranges,
    shards: layout.shards.map(({ path, byteLength }) => ({ path, byteLength, sha256: '' })),
    shaders: shaders.map(({ path, text }) => ({ path, byteLength: text.length, sha256: '' })),
  };
  const open = async (part: Plan) =>
    Executor.create(await testDevice(), part, {
      async *readShard(index) {
        const shard = layout.shards.find(({ path }) => path === part.shards[index]!.path)!;
        for await (const { bytes } of shardChunks(shard)) yield bytes;
      },
      readShader: async (index) => shaders[index]!.text,
      language: await testLanguage(),
    });
  return { plan, open };
}

function oneEach(weights: Parameters<typeof layOutShards>[0]): WeightLayout {
  const layouts = weights.map((weight) => layOutShards([weight]));
  return {
    shards: layouts.map(({ shards: [shard] }, i) => ({ ...shard!, path: `weights/${i}.bin` })),
    ranges: layouts.map(({ ranges: [range] }, i) => ({ ...range!, shard: i })),
  };
}
