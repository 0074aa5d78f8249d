import { Command, Option } from 'commander';
import type { Measured } from '../../verify/baseline.ts';
import { shellWord } from '../../ir/text/shell_word.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { EXIT, UsageError } from '../errors.ts';
import { PRECISIONS } from '../precision/precision.ts';
import type { ReportFiles } from '../report/write_reports.ts';
import { againstBaseline, type BaselineFlags } from './against_baseline.ts';
import { printed, type Io } from './io.ts';
import {
  adapterSources,
  jsonOption,
  mapOf,
  memoryOption,
  withAdapters,
  withDevice,
  withExportOptions,
  type AdapterFlags,
  type CommandResult,
  type DeviceFlags,
  type ExportFlags,
} from './options.ts';
import type { Kept } from './output_files.ts';
import { reporting, splitReportFlags, withReportOptions } from './report_options.ts';
import { unwrittenField } from './unwritten.ts';
import { VERIFY_HELP } from './help/verify.ts';

interface Flags extends AdapterFlags, DeviceFlags, ExportFlags, ReportFiles, BaselineFlags {
  readonly against?: string;
  readonly dtype?: Precision;
  readonly memory?: number;
  readonly maskDecoder?: string;
  readonly bisect?: boolean;
  readonly json?: boolean;
}

/** `pgconv verify`. */
export function verifyCommand(io: Io, result: CommandResult): Command {
  const command = new Command('verify')
    .description('Check a bundle byte by byte, run it, and compare it with the original.')
    .argument('<bundle>', 'folder that `pgconv convert` wrote, or an export by another program: a folder or an .onnx')
    .option(
      '--against <path>',
      'a checkpoint, or a recording of the original (default: the checkpoint that was converted)',
    )
    .option('--mask-decoder <file>', 'the decoder of masks (default: where it was when the bundle was made)')
    .addOption(memoryOption())
    .option('--bisect', 'evaluate the program after each pass, and name the first that changed values')
    .addOption(
      new Option(
        '--dtype <precision>',
        'what another exporter’s bundle is judged as (default: as its weights are)',
      ).choices([...PRECISIONS]),
    )
    .option('--baseline <file>', 'fail when a figure is worse than in this file by more than its noise')
    .option('--update-baseline', 'write the figures to the file of --baseline, when the bundle passes')
    .addOption(jsonOption());
  return withReportOptions(withExportOptions(withAdapters(withDevice(command))))
    .addHelpText('after', VERIFY_HELP)
    .allowExcessArguments()
    .hook('preAction', (_, { args }) => refuseExcess(args))
    .action(async (bundle: string, flags: Flags) => {
      const { json: asJson, baseline, updateBaseline, ...rest } = flags;
      const { files, rest: asked } = splitReportFlags(rest);
      const replaced = updateBaseline && baseline !== undefined ? [{ option: '--baseline', path: baseline }] : [];
      const report = await reporting(
        io,
        result,
        {
          files,
          others: replaced,
          kept: () => keptBy(bundle, asked, replaced.length === 0 ? baseline : undefined),
          subjectOf: (outcome) => ({
            bundle,
            ...('result' in outcome ? { report: outcome.result } : { error: outcome.told }),
          }),
        },
        () =>
          againstBaseline(io, result, { baseline, updateBaseline }, (onKnown) =>
            verify(io, bundle, { ...asked, onKnown }, files),
          ),
      );
      const { reportLines } = await import('../../verify/report.ts');
      io.out(asJson ? printed('verify', { ...report, ...unwrittenField(result) }) : reportLines(report));
      if (!report.passed) result.exitCode = EXIT.parityFailed;
    });
}

/** Of two paths the second is the original, which an option names. */
function refuseExcess([, second]: readonly string[]): void {
  if (second === undefined) return;
  throw new UsageError('excess_argument', 'too many arguments: verify takes one bundle', {
    file: second,
    hint: `name the original with --against ${shellWord(second)}`,
  });
}

type Asked = Omit<Flags, keyof ReportFiles | keyof BaselineFlags>;

/** What reports must leave alone. */
async function keptBy(
  bundle: string,
  { against, adapter, browser, maskDecoder }: Asked,
  baseline: string | undefined,
): Promise<Kept> {
  const { filesRead, isBundle } = await import('./input_files.ts');
  const isOurs = await isBundle(bundle);
  const reads = await filesRead({
    ...(isOurs ? { bundles: [bundle] } : { export: bundle }),
    adapters: adapter,
    against,
    files: { 'the baseline': baseline, 'the browser': browser, 'the mask decoder': maskDecoder },
  });
  return { reads, bundles: isOurs ? [bundle] : [] };
}

async function verify(
  io: Io,
  bundle: string,
  {
    adapter,
    adapterScale,
    map,
    variantSuffix,
    dtype,
    ...rest
  }: Asked & { readonly onKnown: (measured: Measured) => void },
  { html }: ReportFiles,
): Promise<VerifyReport> {
  const [{ verifyBundle }, { foreignBackend, verifyForeign }] = await Promise.all([
    import('../compile/verify_bundle.ts'),
    import('../compile/verify_foreign.ts'),
  ]);
  const adapters = adapterSources({ adapter, adapterScale });
  const backend = await foreignBackend(bundle);
  const own = { map, 'variant-suffix': variantSuffix, dtype };
  const idle = Object.entries(own).find(([, value]) => value !== undefined)?.[0];
  if (!backend && idle !== undefined)
    throw new UsageError('idle_export_option', `--${idle} is of exports by other programs`, {
      file: bundle,
      hint: 'leave it out: a bundle of pgconv has a manifest that says it',
    });
  if (backend && rest.bisect)
    throw new UsageError('bisect_without_passes', '--bisect looks at passes, and another program had others', {
      file: bundle,
      hint: 'leave it out',
    });
  if (backend && rest.maskDecoder !== undefined)
    throw new UsageError('no_masks', 'an export by another program has no mask decoder to compare', {
      file: bundle,
      hint: 'leave out --mask-decoder',
    });
  if (backend && rest.memory !== undefined)
    throw new UsageError('memory_of_export', 'an export by another program is run whole, whatever --memory says', {
      file: bundle,
      hint: 'leave it out',
    });
  const reporter = io.reporter();
  try {
    // the page has a plot of them
    const common = { bundle, adapters, signal: io.signal, everyStage: html !== undefined, ...rest };
    return backend
      ? await verifyForeign(
          backend,
          {
            ...common,
            dtype,
            ...(map && { map: mapOf(map) }),
            ...(variantSuffix !== undefined && { variantSuffix }),
          },
          reporter,
        )
      : await verifyBundle(common, reporter);
  } finally {
    reporter.close();
  }
}
