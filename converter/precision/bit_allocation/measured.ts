import type { Kernels } from '../../../ir/evaluate.ts';
import { formats, isFormatName, type FormatName } from '../../../ir/formats/index.ts';
import type { Program } from '../../../ir/graph.ts';
import { quantizableWeights } from '../../../ir/passes/index.ts';
import type { CalibrationSample } from '../../samples/calibration_sample.ts';
import { spread } from '../../samples/spread.ts';
import type { RoleOf, WeightStorage } from '../weight_storage.ts';
import { allocate, type Allocation, type Group, type Step } from './allocate.ts';
import { answerProbe } from './answer_probe.ts';

/** Samples that tell what each matrix costs: more tell it a little better, and each is read once for every group. */
const PROBE_SAMPLES = 8;
/** The same of a model of real size, which takes tens of seconds for each. */
const LARGE_PROBE_SAMPLES = 2;
/** Longest answer to them, in tokens; of a model of real size, which has a step of all weights for each, the second. */
const PROBE_TOKENS = 16;
const LARGE_PROBE_TOKENS = 4;
/** Times that what all together lose, or take, is held against what was expected of a goal. */
const ROUNDS = 4;

/** Bytes of graphs and weights, of which the fewest bits take no more, or the divergence of answers, in nats. */
export type BitGoal = { readonly bytes: number } | { readonly kld: number };

export interface MeasureOptions {
  /** The f32 program. */
  readonly program: Program;
  readonly roleOf: RoleOf;
  /** The format of the fewest bits. */
  readonly base: FormatName;
  readonly goal: BitGoal;
  /** The program with matrices stored so, in f32 arithmetic and the codes that the bundle gets. */
  readonly stored: (storageOf: (name: string) => WeightStorage) => Program;
  /** Bytes of each matrix with all of them stored so, by name: about those of the bundle. */
  readonly weightBytes: (storage: WeightStorage) => ReadonlyMap<string, number>;
  /** Bytes of the bundle's graphs and weights with matrices stored so; nothing is read, but all is compiled. */
  readonly bytesOf: (storageOf: (name: string) => WeightStorage) => number;
  readonly samples: readonly CalibrationSample[];
  /** Whether every matrix is tried alone; else all layers' of a kind together. */
  readonly each: boolean;
  readonly kernels?: Kernels | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface MeasuredStorage {
  /** Matrices that have more than the fewest bits. */
  readonly storageOf: ReadonlyMap<string, WeightStorage>;
  /** Divergence of the whole on the samples, in nats. */
  readonly kld: number;
  /** Samples that it was measured on. */
  readonly pictures: number;
  /** That bits were given to. */
  readonly matrices: number;
}

/**
 * Bits of each matrix by what the model's answers lose without them: each group of matrices is put in the fewest bits
 * alone, and the divergence on samples, whose sum is nearly that of all together, says where bytes help most. For a
 * target the whole is measured too, and the bits are given anew where the sum was wrong.
 */
export async function measuredStorage(options: MeasureOptions): Promise<MeasuredStorage> {
  const { program, base, goal, stored, bytesOf, samples, each, kernels, signal, onProgress } = options;
  const low = (): WeightStorage => base;
  const leastBytes = bytesOf(low);
  const shown = spread(samples, each ? PROBE_SAMPLES : LARGE_PROBE_SAMPLES);
  const candidates = groupsOf(options);
  onProgress?.(0, candidates.length);
  const probe = await answerProbe(program, {
    samples: shown,
    newTokens: each ? PROBE_TOKENS : LARGE_PROBE_TOKENS,
    kernels,
    signal,
  });
  const groups: Group<WeightStorage>[] = [];
  for (const [i, { names, steps }] of candidates.entries()) {
    const alone = new Set(names);
    const kld = await probe.divergenceOf(stored((name) => (alone.has(name) ? base : 'fp32')));
    const left = (storage: WeightStorage) => kld * (isFormatName(storage) ? noiseRatio(storage, base) : 0);
    groups.push({ names, kld, steps: steps.map((step) => ({ ...step, kld: left(step.storage) })) });
    onProgress?.(i + 1, candidates.length);
  }
  const whole = async ({ storageOf }: Allocation<WeightStorage>) =>
    probe.divergenceOf(stored((name) => storageOf.get(name) ?? base));
  let allocation =
    'bytes' in goal ? withinBytes(groups, goal.bytes, leastBytes, bytesOf, base) : allocate(groups, goal);
  let kld = await whole(allocation);
  const most = 'kld' in goal ? goal.kld : Infinity;
  for (let round = 1; kld > most && round < ROUNDS; round++) {
    allocation = allocate(groups, { kld: (most * allocation.kld) / kld });
    kld = await whole(allocation);
  }
  const { storageOf } = allocation;
  return { storageOf, kld, pictures: shown.length, matrices: groups.flatMap(({ names }) => names).length };
}

/** What a budget buys: the bundle's own bytes are looked at, and where they are too many less is bought. */
function withinBytes(
  groups: readonly Group<WeightStorage>[],
  budget: number,
  leastBytes: number,
  bytesOf: MeasureOptions['bytesOf'],
  base: WeightStorage,
): Allocation<WeightStorage> {
  let room = budget - leastBytes;
  for (let round = 0; round < ROUNDS; round++) {
    const allocation = allocate(groups, { bytes: room });
    const over = bytesOf((name) => allocation.storageOf.get(name) ?? base) - budget;
    if (over <= 0) return allocation;
    room = Math.min(room, allocation.bytes) - over;
  }
  return allocate(groups, { bytes: 0 });
}

/** Squared error of a format's codes beside another's: steps of the same range (Bennett, 1948). */
function noiseRatio(format: FormatName, beside: FormatName): number {
  const steps = (name: FormatName) => 2 ** formats[name].bits - 1;
  return (steps(beside) / steps(format)) ** 2;
}

/** Matrices that are tried together, with the ways that take more bytes. */
function groupsOf({ program, roleOf, base, weightBytes, bytesOf, each }: MeasureOptions): readonly {
  readonly names: readonly string[];
  readonly steps: readonly Omit<Step<WeightStorage>, 'kld'>[];
}[] {
  const more: readonly WeightStorage[] = formats[base].bits === 4 ? ['int8', 'fp16'] : ['fp16'];
  const byKey = new Map<string, string[]>();
  for (const name of new Set(program.graphs.flatMap(quantizableWeights).map((weight) => weight.name))) {
    const role = roleOf(name);
    if (role?.part === 'codebook') continue;
    const key = each || !role ? name : `${'tower' in role ? role.tower : ''} ${role.part}`;
    byKey.set(key, [...(byKey.get(key) ?? []), name]);
  }
  const [low, ...high] = [base, ...more].map(weightBytes);
  const added = (names: readonly string[], by: ReadonlyMap<string, number>) =>
    names.reduce((sum, name) => sum + (by.get(name) ?? 0) - (low!.get(name) ?? 0), 0);
  const shared = sharedTable([...byKey.values()].flat(), roleOf, base, more[0]!, bytesOf);
  const groups = shared
    ? [shared, ...[...byKey.values()].filter(([name]) => !shared.includes(name!))]
    : [...byKey.values()];
  return groups.map((names) => ({
    names,
    // stored once, a table takes what one of the two does
    steps: more.map((storage, i) => ({
      storage,
      bytes: added(names === shared ? names.slice(0, 1) : names, high[i]!),
    })),
  }));
}

/** A table and the head, where a bundle stores them once: apart they would take more. */
function sharedTable(
  names: readonly string[],
  roleOf: RoleOf,
  base: WeightStorage,
  high: WeightStorage,
  bytesOf: MeasureOptions['bytesOf'],
): readonly string[] | undefined {
  const tables = ['embedding', 'head'].flatMap((part) => names.filter((name) => roleOf(name)?.part === part));
  if (tables.length < 2) return undefined;
  const bytes = (among: readonly string[]) => bytesOf((name) => (among.includes(name) ? high : base));
  return bytes(tables) - bytes([]) < bytes(tables.slice(0, 1)) - bytes([]) ? tables : undefined;
}
