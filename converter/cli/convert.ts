import { relative } from 'node:path';
import { Command, Option } from 'commander';
import { backendNames } from '../../backends/find_backend.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { ConvertResult } from '../compile/convert.ts';
import { PRECISIONS } from '../precision/precision.ts';
import { bytesText } from '../../backends/bytes_text.ts';
import { VerificationFailed } from '../compile/verification_failed.ts';
import { changesTable } from './changes_table.ts';
import type { Io } from './io.ts';
import { json } from './io.ts';
import { ADAPTER_HELP } from './help/adapter.ts';
import { MODEL_HELP } from './help/model.ts';
import { PRECISION_HELP } from './help/precision.ts';
import {
  adapterSources,
  checkpointOf,
  jsonOption,
  withAdapters,
  withModelOptions,
  withPrecisionOptions,
  wholeNumber,
  type AdapterFlags,
  type ModelFlags,
  type PrecisionFlags,
} from './options.ts';
import { table } from '../terminal/table.ts';
import { CONVERT_HELP } from './help/convert.ts';
import { prose } from './prose.ts';

interface Flags extends ModelFlags, AdapterFlags, PrecisionFlags {
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
  readonly tokenizer?: string;
  readonly samples?: string;
  readonly strict?: boolean;
  readonly allowOverflow?: boolean;
  readonly json?: boolean;
}

/** `pgconv convert`. */
export function convertCommand(io: Io): Command {
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
    .option('--force', 'replace an existing bundle')
    .option('--no-verify', 'do not compare the bundle with the checkpoint')
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
    .addOption(jsonOption());
  return withAdapters(withModelOptions(withPrecisionOptions(command)))
    .addHelpText('after', `${PRECISION_HELP}\n${MODEL_HELP}\n${ADAPTER_HELP}\n${CONVERT_HELP}`)
    .action(async (paths: readonly string[], flags: Flags) => {
      const [{ convert }, { reportText }] = await Promise.all([
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
        ...rest
      } = flags;
      const adapters = adapterSources({ adapter, adapterScale });
      try {
        const result = await convert(
          {
            checkpoint: checkpointOf(paths),
            adapters,
            ...(quantizedOps && { quantizedOps }),
            ...(accuracyLevel && { accuracyLevel: accuracyLevel === '4' ? 4 : 0 }),
            ...(profile && { target: profile }),
            backend,
            precision,
            signal: io.signal,
            ...rest,
          },
          reporter,
        );
        reporter.close();
        if (result.verification) io.err(reportText(result.verification));
        io.out(asJson ? json(result) : summary(result));
      } catch (error) {
        reporter.close();
        if (error instanceof VerificationFailed) io.err(reportText(error.report));
        throw error;
      }
    });
}

function summary({ out, manifest, bytes, samples, verification, changes }: ConvertResult): string {
  const lines: string[] = [];
  if (changes.length > 0) lines.push(changesTable(changes));
  if (samples.length > 0)
    lines.push(
      table(
        ['picture', 'prompt', 'the original said', 'the bundle says', ''],
        samples.map((s) => [s.name, s.prompt, s.reference, s.answer, s.same ? 'same' : 'DIFFERENT']),
      ),
    );
  const verified = verification ? `verified: ${verification.checks.length} checks passed` : 'NOT verified';
  lines.push(
    `${relative(process.cwd(), out) || out}: ${manifest.program.variant}, ${manifest.backend} ${manifest.precision}, ${manifest.files.length} files, ${bytesText(bytes)}; ${verified}`,
  );
  return lines.join('\n');
}
