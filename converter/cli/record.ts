import { resolve } from 'node:path';
import { Command } from 'commander';
import { writeScript } from '../record/write_script.ts';
import { RECORD_HELP } from './help/record.ts';
import { printed, type Io } from './io.ts';
import { jsonOption } from './options.ts';

interface Flags {
  readonly script: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `pgconv record`. */
export function recordCommand(io: Io): Command {
  return new Command('record')
    .description('Write a Python file that records what the original computes with your checkpoint.')
    .requiredOption('--script <file.py>', 'the file to write')
    .option('--force', 'replace a file that is there')
    .addOption(jsonOption())
    .addHelpText('after', RECORD_HELP)
    .action(async ({ script, force, json: asJson }: Flags) => {
      await writeScript(script, { force: force ?? false });
      io.out(
        asJson
          ? printed('record', { script: resolve(script) })
          : `${script}: run it where torch and transformers are, or jax and big_vision (python ${script} --help)`,
      );
    });
}
