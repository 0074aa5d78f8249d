import type { Program } from '../../../ir/graph.ts';
import { PictureModel } from '../../../backends/client/generation/picture_model.ts';
import { openSource } from '../../../backends/client/sources/open_source.ts';
import type { Plan } from '../../../backends/wgsl/bundle/plan.ts';
import { layOutShards, shardChunks } from '../../../backends/wgsl/bundle/shards.ts';
import { compile } from '../../../backends/wgsl/compile/compile.ts';
import { openDevice } from '../../../backends/wgsl/runtime/device.ts';
import { Executor } from '../../../backends/wgsl/runtime/executor.ts';
import { WgslDeviceModel, type StepsAhead } from '../../../backends/wgsl/runtime/device_model.ts';
import type { ImageFeatures } from '../../../backends/wgsl/runtime/image_features.ts';

export interface ShaderModel {
  readonly model: PictureModel<ImageFeatures, StepsAhead>;
  readonly executor: Executor;
  readonly plan: Plan;
  readonly device: GPUDevice;
  /** Name of the adapter; empty for a device that was given. */
  readonly adapter: string;
}

/**
 * A program compiled and on a device, without files in between: weights go there as they are made. `device` belongs to
 * the caller; without one the machine's own is opened, which `device.destroy()` gives back. @throws BackendError,
 * RuntimeError
 */
export async function openShaderModel(program: Program, given?: GPUDevice): Promise<ShaderModel> {
  const { plan: compiled, weights, shaders } = compile(program);
  const layout = layOutShards(weights);
  const plan: Plan = {
    ...compiled,
    weights: layout.ranges,
    shards: layout.shards.map(({ path, byteLength }) => ({ path, byteLength, sha256: '' })),
    shaders: shaders.map(({ path, text }) => ({ path, byteLength: Buffer.byteLength(text), sha256: '' })),
  };
  const { device, adapter } = given ? { device: given, adapter: '' } : await openDevice(plan);
  const executor = await Executor.create(device, plan, {
    async *readShard(index) {
      for await (const { bytes } of shardChunks(layout.shards[index]!)) yield bytes;
    },
    readShader: async (index) => shaders[index]!.text,
  });
  const noFiles = openSource(new Map(), '');
  const model = new PictureModel(new WgslDeviceModel(executor, program.metadata), noFiles, program.metadata);
  return { model, executor, plan, device, adapter };
}
