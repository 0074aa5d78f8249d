import { Command, Option } from 'commander';
import { backends } from '../../backends/index.ts';
import { PRECISIONS } from '../precision/precision.ts';
import type { InspectFlags } from './inspection.ts';
import type { Io } from './io.ts';
import { ADAPTER_HELP, jsonOption, MODEL_HELP, withAdapters, withModelOptions } from './options.ts';

const HELP = `
For a checkpoint: family, variant, sizes with where each was read from, dtypes and tensors. For a bundle: its graphs, their ops, parameters
and bytes, or its phases, dispatches, shaders and weights. For an .onnx: opset, inputs, outputs, ops, initializers. Weights are read only
to compare an lm_head with the embedding, and to say how much an adapter changes.

Examples:
  pgconv inspect ./paligemma-3b-mix-224 --json
  pgconv inspect fixtures/shapes --ir decoder
  pgconv inspect fixtures/shapes/hf --adapter fixtures/shapes/lora-shapes
  pgconv inspect fixtures/shapes --ir decoder --dtype fp16
  pgconv inspect fixtures/shapes --ir decoder --dtype int4 --to wgsl
  pgconv inspect shapes-onnx-fp16
  pgconv inspect shapes-onnx-fp16/onnx/vision_encoder_fp16.onnx`;

/** `pgconv inspect`. */
export function inspectCommand(io: Io): Command {
  const command = new Command('inspect')
    .description('Show what a checkpoint, a bundle or an .onnx file holds.')
    .argument('<path>', 'checkpoint, bundle or .onnx file')
    .option('--ir <graph>', 'print a graph of the checkpoint as IR text: vision_encoder, embed_tokens or decoder')
    .addOption(
      new Option(
        '--dtype <precision>',
        'with --ir: the graph as it is after the passes for this precision (default: before any pass)',
      ).choices([...PRECISIONS]),
    )
    .addOption(
      new Option('--to <backend>', 'with --dtype: the backend whose passes these are (default: onnx)').choices(
        Object.keys(backends),
      ),
    )
    .option('--tensors', 'list every tensor')
    .addOption(jsonOption());
  return withAdapters(withModelOptions(command))
    .addHelpText('after', `${MODEL_HELP}\n${ADAPTER_HELP}\n${HELP}`)
    .action(async (path: string, flags: InspectFlags) => {
      const { inspect } = await import('./inspection.ts');
      await inspect(io, path, flags);
    });
}
