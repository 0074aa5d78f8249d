import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LINKS } from '../../../verify/links.ts';
import type { VerifyReport } from '../../../verify/verify.ts';
import { EXIT } from '../../errors.ts';
import { VARIANTS } from '../../models/paligemma/config.ts';
import { tableText } from '../../terminal/table.ts';
import { QuantizePool } from '../../threads/quantize_pool.ts';
import { useKernels } from '../../threads/kernels_module.ts';
import { threadCount } from '../../threads/thread_count.ts';
import { pgconv } from '../child.ts';
import { withFaultyGraphs } from './faulty_models.ts';
import { FP16_FILE_FAULTS, INT4_FILE_FAULTS, PALIGEMMA_2_FILE_FAULTS, type FileFault } from './file_faults.ts';
import { GRAPH_FAULTS, PALIGEMMA_2_GRAPH_FAULTS, type GraphFault } from './graph_faults.ts';
import { edited } from './places.ts';
import { sharpen } from './sharpened.ts';
import { weightsReport } from './weights_alone.ts';

/** A bundle, and the faults that are planted in it one after the other. */
interface FaultyBundle {
  readonly variant: string;
  readonly dtype: string;
  readonly fileFaults: readonly FileFault[];
  readonly graphFaults: readonly GraphFault[];
}

const BUNDLES: readonly FaultyBundle[] = [
  { variant: 'paligemma-3b-224', dtype: 'fp16', fileFaults: FP16_FILE_FAULTS, graphFaults: GRAPH_FAULTS },
  { variant: 'paligemma-3b-224', dtype: 'int4', fileFaults: INT4_FILE_FAULTS, graphFaults: [] },
  {
    variant: 'paligemma2-3b-224',
    dtype: 'fp16',
    fileFaults: PALIGEMMA_2_FILE_FAULTS,
    graphFaults: PALIGEMMA_2_GRAPH_FAULTS,
  },
];

/** What became of a bundle with a fault, or of one without. */
export interface FaultOutcome {
  readonly bundle: string;
  /** Undefined for the sound bundle. */
  readonly fault?: string;
  /** Found, and by the name of its tensors or stage; of the sound bundle: passed. */
  readonly isRight: boolean;
  readonly by: string;
  readonly named: string;
  readonly seconds: number;
}

export interface FaultsOptions {
  /** Of decoder and image tower; as many as there are where they have fewer. */
  readonly layers: number;
  /** As `--memory` takes it. */
  readonly memory: string;
  readonly log: (line: string) => void;
}

/**
 * Plants faults in bundles of real widths. What is in their weights is left to the link of weights alone, which is all
 * that can tell; what is in their graphs to `pgconv verify`.
 */
export async function measureFaults(dir: string, { layers, memory, log }: FaultsOptions): Promise<FaultOutcome[]> {
  const outcomes: FaultOutcome[] = [];
  const [input, output] = [join(dir, 'faults-checkpoint'), join(dir, 'faults-bundle')];
  const clear = async (...paths: readonly string[]) => {
    for (const path of paths) await rm(path, { recursive: true, force: true });
  };
  const pool = new QuantizePool(threadCount(), await useKernels());
  const add = (outcome: FaultOutcome) => {
    outcomes.push(outcome);
    log(rowOf(outcome).join(', '));
  };
  try {
    let made: string | undefined;
    for (const { variant, dtype, fileFaults, graphFaults } of BUNDLES) {
      const bundle = `${variant} ${dtype}`;
      const { text, vision } = VARIANTS[variant]!;
      if (made !== variant) {
        await clear(input);
        await pgconv([
          ...['synth', '--variant', variant, '--format', 'hf', '--dtype', 'bf16', '--out', input],
          ...['--layers', String(Math.min(layers, text.layers))],
          ...['--vision-layers', String(Math.min(layers, vision.layers))],
        ]);
        sharpen(input);
        made = variant;
      }
      await clear(output);
      await pgconv([
        ...['convert', input, '--to', 'onnx', '--dtype', dtype, '--no-verify', '--out', output],
        ...(dtype === 'fp16' ? ['--calibrate', 'none'] : []),
      ]);
      const verified = (): Promise<Found> => verify(output, memory);
      const compared = (): Promise<Found> => compareWeights(output, pool);
      add({ bundle, ...(await passing(graphFaults.length > 0 ? verified : compared)) });
      for (const { name, tensors, edit } of fileFaults) {
        const undo = await edited(output, tensors, edit);
        add({ bundle, fault: name, ...(await finding(compared, tensors.join(', '))) });
        undo();
      }
      for (const fault of graphFaults) {
        const undo = await withFaultyGraphs(output, fault);
        add({ bundle, fault: fault.name, ...(await finding(verified, fault.shows)) });
        await undo();
      }
    }
  } finally {
    await pool.dispose();
    await clear(input, output);
  }
  return outcomes;
}

/** What a comparison says of a bundle. */
interface Found {
  readonly passed: boolean;
  /** The link or the check. */
  readonly by: string;
  /** Tensors or stage. */
  readonly named: string;
}

async function passing(look: () => Promise<Found>): Promise<Omit<FaultOutcome, 'bundle' | 'fault'>> {
  const started = performance.now();
  const { passed, by, named } = await look();
  return { isRight: passed, by, named, seconds: (performance.now() - started) / 1000 };
}

async function finding(look: () => Promise<Found>, expected: string): Promise<Omit<FaultOutcome, 'bundle' | 'fault'>> {
  const found = await passing(look);
  return { ...found, isRight: !found.isRight && found.named === expected };
}

async function compareWeights(dir: string, pool: QuantizePool): Promise<Found> {
  const { passed, differences, problems } = await weightsReport(dir, pool);
  const tensors = [...new Set(differences.map(({ tensor }) => tensor))].sort();
  return { passed, by: 'weights', named: [...tensors, ...problems].join(', ') };
}

async function verify(dir: string, memory: string): Promise<Found> {
  const { out } = await pgconv(['verify', dir, '--memory', memory, '--json'], [EXIT.done, EXIT.parityFailed]);
  const { passed, checks, links, firstDivergingStage: stage } = JSON.parse(out) as VerifyReport;
  const failed = checks.filter((check) => !check.passed);
  const broken = LINKS.filter((link) => links?.[link].verdict === 'failed');
  return {
    passed,
    by: [...broken, ...failed.slice(0, 1).map((check) => `${check.case}: ${check.output}`)].join('; '),
    named: stage ? `${stage.phase} ${stage.stage}` : '',
  };
}

function rowOf({ bundle, fault, isRight, by, named, seconds }: FaultOutcome): readonly string[] {
  const verdict =
    fault === undefined ? (isRight ? 'passed' : 'FAILED') : isRight ? 'found' : 'NOT FOUND AS IT SHOULD BE';
  return [bundle, fault ?? '(none)', by, named, `${seconds.toFixed(0)} s`, verdict];
}

/** The outcomes as a table. */
export function faultsReport(outcomes: readonly FaultOutcome[], title: string): string {
  return `${title}\n${tableText(['bundle', 'fault', 'found by', 'named', '', 'verdict'], outcomes.map(rowOf), [4])}`;
}
