import { basename, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { backends, isBackendName, type BackendName } from '../../backends/index.ts';
import { EXIT, UsageError } from '../errors.ts';
import { PRECISIONS } from '../precision/precision.ts';
import { REFERENCE_KINDS, type ReferenceKind } from '../quality/choose_reference.ts';
import { offered } from '../quality/offered.ts';
import type { GivenBundle } from '../quality/quality_run.ts';
import { ALGORITHMS, parseDtype, variantsOf, type DtypeSpec, type VariantSettings } from '../quality/variant.ts';
import { json, type Io } from './io.ts';
import {
  ADAPTER_HELP,
  adapterSources,
  checkpointOf,
  DEVICE_HELP,
  jsonOption,
  MODEL_HELP,
  wholeNumber,
  withAdapters,
  withModelOptions,
  type AdapterFlags,
  type CommandResult,
  type ModelFlags,
} from './options.ts';

interface Flags extends ModelFlags, AdapterFlags, VariantSettings {
  readonly dtypes: readonly DtypeSpec[];
  readonly backends: readonly BackendName[];
  readonly bundle?: readonly GivenBundle[];
  readonly device?: string;
  readonly samples?: string;
  readonly limit?: number;
  readonly tokenizer?: string;
  readonly baseline: ReferenceKind;
  readonly checkCases?: number;
  readonly out?: string;
  readonly markdown?: string;
  readonly keep?: boolean;
  readonly json?: boolean;
}

const DEFAULT_DTYPES = 'fp32,fp16,int8,int4,q4f16';
const DEFAULT_SPECS = dtypesOf(DEFAULT_DTYPES);

const HELP = `
What is done: the checkpoint is converted to every dtype in every backend, one after another, into a temporary folder; each bundle
runs in its own runtime (onnx and tfjs on the cpu, wgsl on WebGPU, or on --device), beside the f32 model, and is removed. Nothing is verified but measured: use it to choose.

What is measured, on every picture and prompt of a file (eval.json beside the checkpoint; else four built-in ones):
  teacher-forced   the model reads the prompt and then the original's answer, whatever it would say itself; at every position of
                   text, its next-token distribution is compared with that of f32: KL divergence in nats (mean, 99th percentile,
                   largest), same most likely token, RMS of the change of probability of the token that follows (RMS Δp)
  greedy           the model answers: tokens that are those of f32, or part from them at a tie; text that is the original's; text
                   that is right ("truth" in the file); overlap of boxes (IoU) with the original's and with the right ones
  stages           signal-to-noise ratio and cosine of every stage of the graphs, and where the error grows
  ranges           the largest magnitude of every activation that fp16 rounds, beside 65504
  size, speed      bytes of the bundle, bits per weight with scales and zero points; tokens/s of decoding, informative only: it is
                   taken on the machine as it is, and compares dtypes of one run with each other at most

Settings behind a dtype make it another row of the table, and say what is done beside the dtype as options of convert would:
  int4+rtn   int4+hqq+mixed=none   int4+calibrate   int4+calibrate=photos   int8+mixed=bits.json   fp16+calibrate=photos

A dtype meets its targets or misses them; the targets, and where they come from, are in the report. The exit code is 1 when one is
missed, or when a dtype cannot be converted.

The f32 model is the evaluator in float64 (--baseline evaluator), or, where that would take more than a quarter of an hour, an fp32
bundle in its runtime (--baseline bundle), itself compared with the evaluator on --check-cases of the cases. The report says which.

The file: {"cases": [{"image": "a.png", "prompt": "detect cat", "text": "what the original says", "truth": "what is right",
"tokens": [5, 7, 1], "min_margin": 0.4}]}, the last three not needed; pictures lie beside it or in its folder images/.

Examples:
  pgconv quality fixtures/shapes
  pgconv quality fixtures/shapes --dtypes fp16,int8 --limit 20 --json
  pgconv quality ./paligemma-3b-mix-224 --dtypes fp16,int8,int4 --samples eval.json --limit 50 --out reports/mix-224
  pgconv quality fixtures/shapes --dtypes int4,int4+rtn,int4+mixed=none,int4+rtn+mixed=none,int4+calibrate=photos
  pgconv quality fixtures/shapes --dtypes int4 --bundle int4=made-elsewhere --keep --out reports/shapes
  pgconv quality fixtures/shapes --backends tfjs --dtypes fp16 --device webgpu
  pgconv quality fixtures/shapes --markdown docs/quality.md`;

/** `pgconv quality`. */
export function qualityCommand(io: Io, result: CommandResult): Command {
  const command = new Command('quality')
    .description(
      'Measure how far each dtype is from the original: divergence, answers, boxes, size, speed; as a table and an HTML report.',
    )
    .argument('<checkpoint...>', 'folder or file with the weights')
    .addOption(
      new Option(
        '--dtypes <list>',
        `what to measure, of ${PRECISIONS.join(', ')}, each with settings of its own behind a +`,
      )
        .argParser(dtypesOf)
        .default(DEFAULT_SPECS, DEFAULT_DTYPES),
    )
    .addOption(
      new Option('--backends <list>', `in what, of ${Object.keys(backends).join(', ')}`)
        .argParser(backendsOf)
        .default(['onnx'], 'onnx'),
    )
    .addOption(
      new Option(
        '--algorithm <name>',
        'how codes are chosen, for dtypes that do not say it themselves (default: that of convert)',
      ).choices([...ALGORITHMS]),
    )
    .option('--mixed <how>', 'which weights get more bits, likewise: none, auto or a file (default: that of convert)')
    .option(
      '--calibrate <set>',
      'what activations are looked at, likewise: none, default (the built-in pictures) or a folder (default: that of convert)',
    )
    .option(
      '--bundle <[dtype=]dir>',
      'measure a bundle too that was made before, or elsewhere, by the targets of its own dtype or of this one; may be given again',
      (text: string, before?: readonly GivenBundle[]) => [...(before ?? []), givenBundle(text)],
    )
    .option('--device <name>', DEVICE_HELP)
    .option('--samples <file>', 'pictures, prompts and answers (default: eval.json beside the checkpoint)')
    .option('--limit <n>', 'measure on so many of them, those with different prompts first', wholeNumber(1))
    .option('--tokenizer <file>', 'a tokenizer.json or a SentencePiece tokenizer.model, for checkpoints that have none')
    .addOption(new Option('--baseline <what>', 'what f32 is').choices([...REFERENCE_KINDS]).default('auto'))
    .option(
      '--check-cases <n>',
      'compare an fp32 bundle that is the baseline with the evaluator on so many cases (default: up to 3, as many as take a quarter of an hour)',
      wholeNumber(0),
    )
    .option('--out <dir>', 'folder for report.html (default: ./<checkpoint>-quality)')
    .option('--markdown <file>', 'write the report as Markdown too, with its plots in a folder beside it')
    .option('--keep', 'keep the bundles, in the folder of the report')
    .addOption(jsonOption());
  return withAdapters(withModelOptions(command))
    .addHelpText('after', `${MODEL_HELP}\n${ADAPTER_HELP}\n${HELP}`)
    .action(async (paths: readonly string[], flags: Flags) => {
      const [{ measureQuality }, { reportText }, { writeHtmlReport, writeMarkdownReport }] = await Promise.all([
        import('../quality/measure_quality.ts'),
        import('../quality/report_text.ts'),
        import('../quality/write_report.ts'),
      ]);
      const {
        dtypes,
        backends: targets,
        algorithm,
        mixed,
        calibrate,
        bundle,
        baseline,
        checkCases,
        out = defaultOut(paths[0]!),
        markdown,
        keep,
        json: asJson,
        adapter,
        adapterScale,
        ...rest
      } = flags;
      const adapters = adapterSources({ adapter, adapterScale });
      // a dtype that a backend does not have is a failure only where it was asked for by name
      const variants = variantsOf(dtypes, targets, {
        ...(algorithm && { algorithm }),
        ...(mixed !== undefined && { mixed }),
        ...(calibrate !== undefined && { calibrate }),
      });
      const reporter = io.reporter();
      try {
        const report = await measureQuality(
          {
            ...rest,
            checkpoint: checkpointOf(paths),
            adapters,
            variants: dtypes === DEFAULT_SPECS ? await offered(variants) : variants,
            baseline,
            ...(bundle && { bundles: bundle }),
            ...(checkCases !== undefined && { checkedCases: checkCases }),
            ...(keep && { keepIn: join(out, 'bundles') }),
            signal: io.signal,
          },
          reporter,
        );
        reporter.close();
        const html = await writeHtmlReport(report, out);
        if (markdown !== undefined) await writeMarkdownReport(report, markdown, commandLine(process.argv.slice(2)));
        io.out(asJson ? json(report) : reportText(report));
        io.err(`report: ${html}${markdown === undefined ? '' : ` and ${markdown}`}`);
        if (!report.passed) result.exitCode = EXIT.parityFailed;
      } finally {
        reporter.close();
      }
    });
}

function dtypesOf(text: string): readonly DtypeSpec[] {
  return text.split(',').map((part) => {
    try {
      return parseDtype(part);
    } catch (error) {
      if (error instanceof UsageError) throw new InvalidArgumentError(`${error.message}: ${error.place.hint}.`);
      throw error;
    }
  });
}

function givenBundle(text: string): GivenBundle {
  const at = text.indexOf('=');
  const precision = PRECISIONS.find((known) => known === text.slice(0, Math.max(0, at)));
  return precision ? { dir: text.slice(at + 1), precision } : { dir: text };
}

function backendsOf(text: string): readonly BackendName[] {
  return text.split(',').map((part) => {
    const name = part.trim();
    if (!isBackendName(name))
      throw new InvalidArgumentError(`"${name}" is none of ${Object.keys(backends).join(', ')}.`);
    return name;
  });
}

function defaultOut(checkpoint: string): string {
  return resolve(`${basename(resolve(checkpoint)).replace(/\.(npz|safetensors)(:[\w/]+)?$/, '')}-quality`);
}

/** The line as a shell takes it. */
function commandLine(args: readonly string[]): string {
  return [
    'npx pgconv',
    ...args.map((arg) => (/^[\w./:=,@-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", String.raw`'\''`)}'`)),
  ].join(' ');
}
