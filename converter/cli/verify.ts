import { Command } from 'commander';
import { EXIT } from '../errors.ts';
import type { Io } from './io.ts';
import {
  adapterSources,
  DEVICE_HELP,
  jsonOption,
  withAdapters,
  type AdapterFlags,
  type CommandResult,
} from './options.ts';
import { VERIFY_HELP } from './help/verify.ts';

/** `pgconv verify`. */
export function verifyCommand(io: Io, result: CommandResult): Command {
  const command = new Command('verify')
    .description('Check a bundle byte by byte, run it, and compare it with the original.')
    .argument('<bundle>', 'folder that `pgconv convert` wrote')
    .option('--against <path>', 'the checkpoint, or a recording (default: the checkpoint that was converted)')
    .option('--device <name>', DEVICE_HELP)
    .addOption(jsonOption());
  return withAdapters(command)
    .addHelpText('after', VERIFY_HELP)
    .action(async (bundle: string, flags: AdapterFlags & { against?: string; device?: string; json?: boolean }) => {
      const [{ verifyBundle }, { reportJson, reportText }] = await Promise.all([
        import('../compile/verify_bundle.ts'),
        import('../../verify/report.ts'),
      ]);
      const reporter = io.reporter();
      const { json: asJson, adapter, adapterScale, ...rest } = flags;
      const adapters = adapterSources({ adapter, adapterScale });
      try {
        const report = await verifyBundle({ bundle, adapters, signal: io.signal, ...rest }, reporter);
        reporter.close();
        io.out(asJson ? reportJson(report) : reportText(report));
        if (!report.passed) result.exitCode = EXIT.parityFailed;
      } finally {
        reporter.close();
      }
    });
}
