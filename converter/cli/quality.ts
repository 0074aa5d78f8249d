import { basename, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { backendNames, isBackendName } from '../../backends/find_backend.ts';
import { shellWord } from '../../ir/text/shell_word.ts';
import { hubName } from '../checkpoints/hub_cache.ts';
import { EXIT, UsageError } from '../errors.ts';
import { PRECISIONS } from '../precision/precision.ts';
import { REFERENCE_KINDS, type ReferenceKind } from '../quality/choose_reference.ts';
import { offered } from '../quality/offered.ts';
import type { GivenBundle } from '../quality/quality_run.ts';
import {
  ALGORITHMS,
  parseDtype,
  variantsOf,
  type DtypeSpec,
  type Variant,
  type VariantSettings,
} from '../quality/variant.ts';
import { printed, type Io } from './io.ts';
import { ADAPTER_HELP } from './help/adapter.ts';
import { MODEL_HELP } from './help/model.ts';
import {
  adapterSources,
  checkpointOf,
  jsonOption,
  wholeNumber,
  withAdapters,
  withCheck,
  withDevice,
  withModelOptions,
  type AdapterFlags,
  type CheckFlags,
  type CommandResult,
  type DeviceFlags,
  type ModelFlags,
} from './options.ts';
import { prepareOutputs, refuseTaken, type Kept } from './output_files.ts';
import { QUALITY_HELP } from './help/quality.ts';
import { collecting } from './repeats.ts';
import { prose } from './prose.ts';
import { unwrittenField, writing } from './unwritten.ts';

interface Flags extends ModelFlags, AdapterFlags, DeviceFlags, CheckFlags, VariantSettings {
  readonly dtypes: readonly DtypeSpec[];
  readonly backends: readonly string[];
  readonly bundle?: readonly GivenBundle[];
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

/** `pgconv quality`. */
export function qualityCommand(io: Io, result: CommandResult): Command {
  const command = new Command('quality')
    .description(
      prose(
        'Measure how far each dtype is from the original: divergence, answers, boxes, masks, size, speed; as a',
        'table and an HTML report.',
      ),
    )
    .argument('<checkpoint...>', 'folder or file with the weights, or a Hub id in the local cache')
    .addOption(
      new Option(
        '--dtypes <list>',
        `what to measure, of ${PRECISIONS.join(', ')}, each with settings of its own behind a +`,
      )
        .argParser(dtypesOf)
        .default(DEFAULT_SPECS, DEFAULT_DTYPES),
    )
    .addOption(
      new Option('--backends <list>', `in what, of ${backendNames().join(', ')}`)
        .argParser(backendsOf)
        .default([backendNames()[0]], backendNames()[0]),
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
      prose(
        'what activations are looked at, likewise: none, default (the built-in pictures) or a folder',
        '(default: that of convert)',
      ),
    )
    .addOption(
      collecting(
        '--bundle <[dtype=]dir>',
        prose(
          'measure a bundle too that was made before, or elsewhere, by the targets of its own dtype or of',
          'this one; may be given again',
        ),
        givenBundle,
      ),
    )
    .option('--samples <file>', 'pictures, prompts and answers (default: eval.json beside the checkpoint)')
    .option('--limit <n>', 'measure on so many of them, those with different prompts first', wholeNumber(1))
    .option('--tokenizer <file>', 'a tokenizer.json or a SentencePiece tokenizer.model, for checkpoints that have none')
    .addOption(new Option('--baseline <what>', 'what f32 is').choices([...REFERENCE_KINDS]).default('auto'))
    .option(
      '--check-cases <n>',
      prose(
        'compare an fp32 bundle that is the baseline with the evaluator on so many cases (default: up',
        'to 3, as many as take a quarter of an hour)',
      ),
      wholeNumber(0),
    )
    .option('--out <dir>', 'folder for report.html (default: ./<checkpoint>-quality)')
    .option('--markdown <file>', 'write the report as Markdown too, with its plots in a folder beside it')
    .option('--keep', 'keep the bundles, in the folder of the report')
    .addOption(jsonOption());
  return withAdapters(withModelOptions(withCheck(withDevice(command))))
    .addHelpText('after', `${MODEL_HELP}\n${ADAPTER_HELP}\n${QUALITY_HELP}`)
    .action(async (paths: readonly string[], flags: Flags) => {
      const [
        { measureQuality },
        { reportLines },
        { htmlReportFile, plotFolder, writeHtmlReport, writeMarkdownReport },
        { requirePlots },
      ] = await Promise.all([
        import('../quality/measure_quality.ts'),
        import('../quality/report_text.ts'),
        import('../quality/write_report.ts'),
        import('../bundle/require_runtime.ts'),
      ]);
      requirePlots();
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
      const page = { option: '--out', path: htmlReportFile(out) };
      const also = markdown === undefined ? [] : [{ option: '--markdown', path: markdown }];
      const plots = also.map(({ option, path }) => ({ option, path: join(plotFolder(path), 'any.svg') }));
      const kept = await keptBy(flags, paths, variants);
      await refuseTaken([page, ...also, ...plots], kept);
      const undo = await prepareOutputs([page, ...also], kept);
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
        const written: string[] = [];
        if (await writing(result, () => writeHtmlReport(report, out))) written.push(page.path);
        if (markdown !== undefined) {
          const command = commandLine(process.argv.slice(2));
          if (await writing(result, () => writeMarkdownReport(report, markdown, command))) written.push(markdown);
        }
        io.out(asJson ? printed('quality', { ...report, ...unwrittenField(result) }) : reportLines(report));
        if (written.length > 0) io.err(`report: ${written.join(' and ')}`);
        if (!report.passed) result.exitCode = EXIT.parityFailed;
      } finally {
        reporter.close();
        await undo();
      }
    });
}

/** What reports must leave alone. */
async function keptBy(
  { adapter, bundle = [], samples, tokenizer, maskDecoder, browser }: Flags,
  checkpoint: readonly string[],
  variants: readonly Variant[],
): Promise<Kept> {
  const { filesRead } = await import('./input_files.ts');
  const bundles = bundle.map(({ dir }) => dir);
  const choices = variants.map(({ settings }) => settings);
  const sets = new Set(choices.flatMap(({ calibrate }) => calibrate ?? []));
  const reads = [
    ...(await filesRead({
      checkpoint,
      adapters: adapter,
      bundles,
      samples,
      files: { 'the tokenizer': tokenizer, 'the mask decoder': maskDecoder },
    })),
    ...choices.flatMap(({ mixed }) => (mixed === undefined ? [] : [{ path: mixed, of: 'the bits of weights' }])),
    ...(browser === undefined ? [] : [{ path: browser, of: 'the browser' }]),
  ];
  for (const calibrate of sets) reads.push(...(await filesRead({ calibrate })));
  return { reads, bundles };
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

function backendsOf(text: string): readonly string[] {
  return text.split(',').map((part) => {
    const name = part.trim();
    if (!isBackendName(name)) throw new InvalidArgumentError(`"${name}" is none of ${backendNames().join(', ')}.`);
    return name;
  });
}

function defaultOut(checkpoint: string): string {
  return resolve(`${basename(resolve(hubName(checkpoint))).replace(/\.(npz|safetensors)(:[\w/]+)?$/, '')}-quality`);
}

/** The line as a shell takes it. */
function commandLine(args: readonly string[]): string {
  return ['npx pgconv', ...args.map(shellWord)].join(' ');
}
