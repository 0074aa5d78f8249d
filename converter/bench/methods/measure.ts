import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { findBackend } from '../../../backends/find_backend.ts';
import type { Program } from '../../../ir/graph.ts';
import { balanceBy } from '../../../ir/passes/balance_channels.ts';
import {
  balanceChannels,
  foldConstants,
  runPassesOnProgram,
  type QuantizeWeightsOptions,
} from '../../../ir/passes/index.ts';
import { plainExecutor } from '../../../ir/quantize/executor.ts';
import { gptqMatrix } from '../../../ir/quantize/gptq.ts';
import { quantizeMatrix } from '../../../ir/quantize/quantize_matrix.ts';
import type { Scheme } from '../../../ir/quantize/scheme.ts';
import { makeTempFolder, removePath } from '../../disk.js';
import { openModel } from '../../models/open_model.ts';
import { answerProbe } from '../../precision/bit_allocation/answer_probe.ts';
import { chooseStorage } from '../../precision/bit_allocation/index.ts';
import { calibrate, type Calibration } from '../../precision/calibration/calibrate.ts';
import { recentFactors } from '../../precision/calibration/recent_factors.ts';
import { fastKernels } from '../../precision/fast_kernels.ts';
import { programsFor } from '../../precision/precision.ts';
import { casesOfFile } from '../../quality/quality_cases.ts';
import { folderSamples, picturesShown } from '../../samples/folder_samples.ts';
import { ScratchFile } from '../../scratch_file.ts';
import { checkpointProcessor } from '../../sidecars/checkpoint_processor.ts';
import { checkpointTokenizer } from '../../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../../sidecars/prepared_files.ts';
import { choosingFolder } from '../calibration/choosing_folder.ts';
import { makeModel, type FurtherModel } from '../calibration/further_models.ts';
import { evenly } from '../calibration/evenly.ts';
import { byActivation, searchedPower } from './activation_scales.ts';
import { descendedCodes } from './descended_codes.ts';
import { exhaustiveCodes } from './exhaustive_codes.ts';

/** Pictures that judge. */
const JUDGES = 30;
/** The longest answer, in tokens. */
const ANSWER = 24;
/** Tokens of answers that calibration sees. */
const SEEN = 16;

/** What codes of one model lose that are made in one way. */
export interface MethodMeasurement {
  readonly model: string;
  readonly method: string;
  /** KL divergence of the next-token distributions from the f32 model, nats. */
  readonly kld: number;
  /** What else it is told by: an error beside another. */
  readonly ratio?: { readonly of: string; readonly value: number };
}

type Quantize = QuantizeWeightsOptions['quantize'];

/** int4 of each model in ONNX's blocks by each method, by the evaluator, on pictures that chose nothing. */
export async function measureMethods(
  models: readonly FurtherModel[],
  log: (line: string) => void,
): Promise<readonly MethodMeasurement[]> {
  const measured: MethodMeasurement[] = [];
  for (const model of models) {
    const temp = await makeTempFolder(join(tmpdir(), 'pgconv-methods-'));
    const scratch = new ScratchFile(temp);
    try {
      for await (const measurement of methodsOf(model, temp, scratch)) {
        measured.push(measurement);
        log(`${measurement.model}, ${measurement.method}: ${measurement.kld.toExponential(2)}`);
      }
    } finally {
      await scratch.close();
      await removePath(temp);
    }
  }
  return measured;
}

async function* methodsOf(model: FurtherModel, temp: string, scratch: ScratchFile): AsyncGenerator<MethodMeasurement> {
  const opened = await openModel({
    checkpoint: await makeModel(model, join(temp, 'model')),
    ...(model.adapters && { adapters: model.adapters }),
  });
  try {
    const { checkpoint, inputs, sidecars } = opened;
    const { roleOf } = opened.model;
    const plain = runPassesOnProgram(opened.model.program, [foldConstants]);
    const { metadata } = plain;
    const prepared = await preparedFor({ config: checkpoint.config, sidecars }, { metadata });
    const common = {
      metadata,
      tokenizer: checkpointTokenizer(prepared),
      processor: checkpointProcessor(prepared, 'huggingface'),
      inputs,
    };
    const photos = await choosingFolder(model.samples, inputs, join(temp, 'photos'));
    const { samples } = await folderSamples(photos, common);
    const shown = await picturesShown([photos], inputs);
    const others = evenly(await casesOfFile(model.samples, { ...common, shown }), JUDGES);
    const kernels = await fastKernels();
    const judges = others.map(({ name, load }) => ({ name, picture: name, load }));
    const probe = await answerProbe(plain, { samples: judges, newTokens: ANSWER, kernels });
    const backend = await findBackend('onnx');
    const storageOf = await chooseStorage({ precision: 'int4', program: plain, roleOf, backend });
    const measure = async (method: string, program: Program, quantize?: Quantize): Promise<MethodMeasurement> => {
      const { reference } = programsFor(program, 'int4', { storageOf, backend, ...(quantize && { quantize }) });
      return { model: model.name, method, kld: await probe.divergenceOf(reference) };
    };
    const seenOf = (program: Program) =>
      calibrate(program, { samples, newTokens: SEEN, scratch, ...(kernels && { kernels }) });

    const balanced = runPassesOnProgram(plain, [balanceChannels]);
    yield measure('as the checkpoint has it', plain);
    yield measure('balanced', balanced);
    for (const [method, isWeighted] of [
      ['balanced, every scale and zero point (NeUQI)', false],
      ['balanced, the same by the size of weights (k_quant)', true],
    ] as const) {
      const errors = { usual: 0, best: 0 };
      const found = await measure(
        method,
        balanced,
        inFourBits((data, scheme) => exhaustiveCodes(data, scheme, isWeighted, errors)),
      );
      yield {
        ...found,
        ratio: { of: 'error of blocks by the usual search ÷ by this', value: errors.usual / errors.best },
      };
    }
    const { moments, rows } = await seenOf(plain);
    yield measure('AWQ', runPassesOnProgram(plain, [balanceBy((channels) => searchedPower(channels, moments))]));
    yield measure(
      'balanced by activations',
      runPassesOnProgram(plain, [balanceBy((channels) => byActivation(channels, moments))]),
    );
    yield measure('GPTQ', plain, byGptq(rows));
    const seen = await seenOf(balanced);
    yield measure('balanced, GPTQ', balanced, byGptq(seen.rows));
    const errors = { before: 0, after: 0 };
    const descend = inFourBits((data, scheme, name) => {
      const own = seen.rows?.rowsOf(name);
      const matrix = byGptq(seen.rows)(data, scheme, name);
      return own ? descendedCodes(data, matrix, own, errors) : matrix;
    }, byGptq(seen.rows));
    const found = await measure('balanced, GPTQ, rounding moved on (AutoRound)', balanced, descend);
    yield { ...found, ratio: { of: 'error of outputs ÷ of GPTQ', value: errors.after / errors.before } };
  } finally {
    await opened.close();
  }
}

/** One way for codes of 4 bits, and another, default the usual, for 8. */
function inFourBits(four: Quantize, others: Quantize = (data, scheme) => quantizeMatrix(data, scheme)): Quantize {
  return (data, scheme: Scheme, name) => (scheme.format === 'int4' ? four : others)(data, scheme, name);
}

function byGptq(rows: Calibration['rows']): Quantize {
  const factorOf = recentFactors(plainExecutor);
  return (data, scheme, name) => {
    const own = rows?.rowsOf(name);
    return own ? gptqMatrix(data, scheme, () => factorOf(own)) : quantizeMatrix(data, scheme);
  };
}
