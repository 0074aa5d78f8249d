import { Command, Option } from 'commander';
import { VARIANTS } from '../models/paligemma/config.ts';
import { bytesText } from '../../backends/bytes_text.ts';
import { synthesize, type SynthOptions } from '../synth/synth.ts';
import { printed, type Io } from './io.ts';
import { jsonOption, wholeNumber } from './options.ts';

type Flags = Omit<SynthOptions, 'onProgress'> & { readonly json?: boolean };
import { SYNTH_HELP } from './help/synth.ts';

/** `pgconv synth`. */
export function synthCommand(io: Io): Command {
  return new Command('synth')
    .description('Write a checkpoint of real shapes with seeded random values.')
    .addOption(
      new Option('--variant <name>', 'the published model whose shapes to take')
        .choices(Object.keys(VARIANTS))
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--format <format>', 'a Hugging Face folder, or a big_vision .npz')
        .choices(['hf', 'npz'])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--dtype <dtype>', 'dtype of the weights').choices(['bf16', 'f16', 'f32']).makeOptionMandatory(),
    )
    .requiredOption('--out <dir>', 'folder to make; it must not exist')
    .option('--layers <n>', 'decoder layers to keep (default: all)', wholeNumber(1))
    .option('--vision-layers <n>', 'image tower layers to keep (default: all)', wholeNumber(1))
    .option('--seed <n>', 'another seed gives other values', wholeNumber(0), 0)
    .addOption(jsonOption())
    .addHelpText('after', SYNTH_HELP)
    .action(async ({ json: asJson, ...options }: Flags) => {
      const reporter = io.reporter();
      try {
        let stage: ReturnType<typeof reporter.stage> | undefined;
        let before = 0;
        const result = await synthesize({
          ...options,
          signal: io.signal,
          onProgress: (written, total) => {
            stage ??= reporter.stage(`write ${options.variant}`, { unit: 'bytes', total });
            stage.advance(written - before);
            before = written;
          },
        });
        stage?.done();
        reporter.close();
        io.out(
          asJson ? printed('synth', result) : `${result.path}: ${result.tensors} tensors, ${bytesText(result.bytes)}`,
        );
      } finally {
        reporter.close();
      }
    });
}
