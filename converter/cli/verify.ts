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

const HELP = `
First every byte of the bundle is checked against its manifest. Then it runs in its own runtime, beside the reference: the weights of
the checkpoint evaluated in float64 (--against <checkpoint>; the default is the one that was converted), or what another
implementation was seen to compute (--against golden.safetensors, with stages.safetensors beside it). Compared are image features,
logits of every position, greedy tokens with the margin of ties, a left-padded batch, and the bundle with itself; of a ColPali its vectors,
their length and padding, and MaxSim scores. On failure the first
stage that diverges is named, and the exit code is 1.

A bundle is compared as it was converted: with the reference, softcap, window and adapters that its manifest records. With --against
<checkpoint>, the adapters are those of --adapter: none, for a checkpoint into which they were merged already.

Examples:
  pgconv verify shapes-onnx-fp16
  pgconv verify shapes-onnx-fp16 --against fixtures/shapes/bv_f32.npz --json
  pgconv verify tiny-onnx-fp32 --against fixtures/pg1-tiny/golden.safetensors --device webgpu`;

/** `pgconv verify`. */
export function verifyCommand(io: Io, result: CommandResult): Command {
  const command = new Command('verify')
    .description('Check a bundle byte by byte, run it, and compare it with the original.')
    .argument('<bundle>', 'folder that `pgconv convert` wrote')
    .option('--against <path>', 'the checkpoint, or a recording (default: the checkpoint that was converted)')
    .option('--device <name>', DEVICE_HELP)
    .addOption(jsonOption());
  return withAdapters(command)
    .addHelpText('after', HELP)
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
