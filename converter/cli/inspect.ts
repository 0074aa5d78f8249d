import { Command, Option } from 'commander';
import { backendNames } from '../../backends/find_backend.ts';
import { PRECISIONS } from '../precision/precision.ts';
import type { InspectFlags } from './inspection.ts';
import type { Io } from './io.ts';
import { ADAPTER_HELP } from './help/adapter.ts';
import { MODEL_HELP } from './help/model.ts';
import { jsonOption, withAdapters, withModelOptions } from './options.ts';
import { INSPECT_HELP } from './help/inspect.ts';

/** `pgconv inspect`. */
export function inspectCommand(io: Io): Command {
  const command = new Command('inspect')
    .description('Show what a checkpoint, a bundle, an export or an .onnx file holds.')
    .argument('<path>', 'checkpoint (or its Hub id), bundle or .onnx file')
    .option('--ir <graph>', 'print a graph of the checkpoint as IR text: vision_encoder, embed_tokens or decoder')
    .addOption(
      new Option(
        '--dtype <precision>',
        'with --ir: the graph as it is after the passes for this precision (default: before any pass)',
      ).choices([...PRECISIONS]),
    )
    .addOption(
      new Option(
        '--to <backend>',
        `with --dtype: the backend whose passes these are (default: ${backendNames()[0]})`,
      ).choices([...backendNames()]),
    )
    .option('--tensors', 'list every tensor')
    .addOption(jsonOption());
  return withAdapters(withModelOptions(command))
    .addHelpText('after', `${MODEL_HELP}\n${ADAPTER_HELP}\n${INSPECT_HELP}`)
    .action(async (path: string, flags: InspectFlags) => {
      const { inspect } = await import('./inspection.ts');
      await inspect(io, path, flags);
    });
}
