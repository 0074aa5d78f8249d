import { relative } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { backendNames } from '../../backends/find_backend.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { ConvertResult } from '../compile/convert.ts';
import { defaultOut, type ConvertOptions } from '../compile/convert_options.ts';
import type { IrPlaces } from '../compile/print_ir.ts';
import { PRECISIONS } from '../precision/precision.ts';
import { bytesText } from '../../backends/bytes_text.ts';
import { VerificationFailed } from '../compile/verification_failed.ts';
import { UsageError } from '../errors.ts';
import type { ReportFiles } from '../report/write_reports.ts';
import { LINKS, type Link, type Links } from '../../verify/links.ts';
import { changesTable } from './changes_table.ts';
import { convertedSubject } from './converted_subject.ts';
import type { Io } from './io.ts';
import { printed } from './io.ts';
import { ADAPTER_HELP } from './help/adapter.ts';
import { MODEL_HELP } from './help/model.ts';
import { PRECISION_HELP } from './help/precision.ts';
import {
  adapterSources,
  checkpointOf,
  jsonOption,
  memoryOption,
  withAdapters,
  withDevice,
  withModelOptions,
  withPrecisionOptions,
  wholeNumber,
  type AdapterFlags,
  type CommandResult,
  type DeviceFlags,
  type ModelFlags,
  type PrecisionFlags,
} from './options.ts';
import type { Kept } from './output_files.ts';
import { reporting, splitReportFlags, withReportOptions } from './report_options.ts';
import type { Line } from '../../verify/text_table.ts';
import { table } from '../terminal/table.ts';
import { CONVERT_HELP } from './help/convert.ts';
import { prose } from './prose.ts';
import { unwrittenField } from './unwritten.ts';

interface Flags extends ModelFlags, AdapterFlags, PrecisionFlags, DeviceFlags, ReportFiles {
  readonly to: string;
  readonly dtype: Precision;
  readonly target?: string;
  readonly quantOps?: 'nbits' | 'qdq';
  readonly accuracyLevel?: '0' | '4';
  readonly profile?: string;
  readonly layersPerGraph?: number;
  readonly out?: string;
  readonly force?: boolean;
  readonly verify: boolean;
  readonly memory?: number;
  readonly against?: string;
  readonly tokenizer?: string;
  readonly samples?: string;
  readonly strict?: boolean;
  readonly allowOverflow?: boolean;
  readonly printIr?: IrPlaces;
  readonly json?: boolean;
}

/** `pgconv convert`. */
export function convertCommand(io: Io, ended: CommandResult): Command {
  const command = new Command('convert')
    .description('Convert a checkpoint to a bundle, and verify it.')
    .argument('<checkpoint...>', 'folder or file with the weights, or a Hub id in the local cache')
    .addOption(
      new Option(
        '--to <backend>',
        prose(
          'what to write: onnx, graphs for ONNX Runtime and transformers.js; tfjs, graph models for',
          'TensorFlow.js; wgsl, shaders for pgconv/runtime on WebGPU',
        ),
      )
        .choices([...backendNames()])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--dtype <precision>', 'how numbers are stored and computed: see below')
        .choices([...PRECISIONS])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--target <runtime>',
        prose(
          'portable: one graph for CPU and WebGPU; webgpu: with what ONNX Runtime has beside ONNX’s',
          'ops; ort-cpu, ort-cuda: fused attention for servers (onnx only; default: portable)',
        ),
      ),
    )
    .addOption(
      new Option(
        '--quant-ops <kind>',
        prose(
          'codes by the runtime’s kernels (MatMulNBits), or by ONNX’s DequantizeLinear for runtimes',
          'without them (onnx only; default: nbits)',
        ),
      ).choices(['nbits', 'qdq']),
    )
    .addOption(
      new Option(
        '--accuracy-level <n>',
        prose(
          '4 lets kernels of codes round activations to int8: faster on CPUs and where GPUs multiply',
          'bytes, and less exact (onnx and wgsl; default: 0)',
        ),
      ).choices(['0', '4']),
    )
    .addOption(
      new Option(
        '--profile <name>',
        prose(
          'std: nothing but tfjs’s own ops, weights expanded to f32 when loaded; packed: codes that',
          'stay packed on the device, by an op of pgconv/tfjs (tfjs only; default: packed for int4',
          'and nf4, else std)',
        ),
      ).conflicts('target'),
    )
    .addOption(
      new Option(
        '--layers-per-graph <n>',
        'layers of the decoder in one graph model (tfjs only; default: as many as have 512 MiB of weights)',
      ).argParser(wholeNumber(1)),
    )
    .option('--out <dir>', 'folder to write (default: ./<checkpoint>-<backend>-<dtype>)')
    .option('--force', 'replace an existing bundle; files in its folder that are others, or were changed, are kept')
    .option('--no-resume', 'begin anew where an earlier run of this command was interrupted')
    .option('--no-verify', 'do not compare the bundle with the checkpoint')
    .addOption(memoryOption())
    .option(
      '--against <recording>',
      prose(
        'compare the bundle as well with what the original was recorded to compute with this checkpoint',
        '(see pgconv record); with --no-verify, with that alone',
      ),
    )
    .option('--tokenizer <file>', 'a tokenizer.json or a SentencePiece tokenizer.model, for checkpoints that have none')
    .option(
      '--samples <file>',
      prose(
        'ask the bundle these pictures and prompts: {"cases": [{"image", "prompt", "text"}]} (default:',
        'eval.json beside the checkpoint)',
      ),
    )
    .option('--strict', 'fail when the checkpoint itself holds NaN or Infinity')
    .option('--allow-overflow', 'write weights that do not fit f16 as Infinity, and report them, instead of failing')
    .addOption(
      new Option(
        '--print-ir <which>',
        'write the text of every graph after=<pass>, or after all, to <out>.ir; weights are not in it',
      ).argParser(irPlaces),
    )
    .addOption(jsonOption());
  return withReportOptions(withAdapters(withModelOptions(withPrecisionOptions(withDevice(command)))))
    .addHelpText('after', `${PRECISION_HELP}\n${MODEL_HELP}\n${ADAPTER_HELP}\n${CONVERT_HELP}`)
    .action(async (paths: readonly string[], flags: Flags) => {
      const [{ convert }, { reportLines }] = await Promise.all([
        import('../compile/convert.ts'),
        import('../../verify/report.ts'),
      ]);
      const reporter = io.reporter();
      const {
        to: backend,
        dtype: precision,
        json: asJson,
        adapter,
        adapterScale,
        quantOps: quantizedOps,
        accuracyLevel,
        profile,
        ...others
      } = flags;
      const { files, rest } = splitReportFlags(others);
      const adapters = adapterSources({ adapter, adapterScale });
      const verifies = rest.verify || rest.against !== undefined;
      if (!verifies && Object.keys(files).length > 0)
        throw new UsageError('report_without_verification', '--no-verify leaves out what reports are written of', {
          hint: 'leave one of them out, or verify later: pgconv verify writes the same reports',
        });
      const options: ConvertOptions = {
        checkpoint: checkpointOf(paths),
        adapters,
        ...(quantizedOps && { quantizedOps }),
        ...(accuracyLevel && { accuracyLevel: accuracyLevel === '4' ? 4 : 0 }),
        ...(profile && { target: profile }),
        backend,
        precision,
        // the page has a plot of them
        everyStage: files.html !== undefined,
        signal: io.signal,
        ...rest,
      };
      const work = () => convert(options, reporter);
      try {
        const result = verifies
          ? await reporting(
              io,
              ended,
              { files, kept: () => keptBy(options), subjectOf: (outcome) => convertedSubject(options, outcome) },
              work,
            )
          : await work();
        reporter.close();
        for (const report of [result.verification, result.original]) if (report) io.err(reportLines(report));
        io.out(asJson ? printed('convert', { ...result, ...unwrittenField(ended) }) : summary(result));
      } catch (error) {
        reporter.close();
        if (error instanceof VerificationFailed) io.err(reportLines(error.report));
        throw error;
      }
    });
}

/** What reports must leave alone: the checkpoint, and the folders that are about to be made. */
async function keptBy(options: ConvertOptions): Promise<Kept> {
  const {
    checkpoint,
    adapters = [],
    against,
    samples,
    calibrate,
    tokenizer,
    mixed,
    browser,
    printIr,
    maskDecoder,
  } = options;
  const [{ filesRead }, { irFolder }] = await Promise.all([
    import('./input_files.ts'),
    import('../compile/print_ir.ts'),
  ]);
  const out = options.out ?? defaultOut(options);
  const reads = await filesRead({
    checkpoint,
    adapters: adapters.map(({ dir }) => dir),
    against,
    samples,
    calibrate,
    files: {
      'the tokenizer': tokenizer,
      'the mask decoder': maskDecoder,
      'the bits of weights': mixed,
      'the browser': browser,
    },
  });
  return { reads, bundles: [out, ...(printIr ? [irFolder(out)] : [])] };
}

/** @throws InvalidArgumentError for what names no pass */
function irPlaces(text: string): IrPlaces {
  const after = /^after=(.+)$/.exec(text)?.[1] ?? text;
  if (after === 'all') return 'all';
  if (after !== text) return { after };
  throw new InvalidArgumentError('give all, or after=<pass>.');
}

/** The verdict of each link in a word: beside answers of the original one would not know what of it was not tried. */
function linksText(links: Links | undefined): string {
  const wordOf = (name: keyof Links, { verdict }: Link) =>
    name === 'original' && verdict === 'not tried' ? 'no recording of the original' : `${name} ${verdict}`;
  return links ? `, ${LINKS.map((name) => wordOf(name, links[name])).join(', ')}` : '';
}

function summary({ out, manifest, bytes, samples, verification, original, changes }: ConvertResult): readonly Line[] {
  const lines: Line[] = [];
  if (changes.length > 0) lines.push(changesTable(changes));
  if (samples.length > 0)
    lines.push(
      table(
        ['picture', 'prompt', 'the original said', 'the bundle says', ''],
        samples.map((s) => [s.name, s.prompt, s.reference, s.answer, s.same ? 'same' : 'DIFFERENT']),
      ),
    );
  const checks = [verification, original].flatMap((report) => report?.checks ?? []).length;
  const verified =
    checks > 0
      ? `verified: ${checks} checks passed${linksText(verification?.links ?? original?.links)}`
      : 'NOT verified';
  lines.push(
    `${relative(process.cwd(), out) || out}: ${manifest.program.variant}, ${manifest.backend} ${manifest.precision}, ${manifest.files.length} files, ${bytesText(bytes)}; ${verified}`,
  );
  return lines;
}
