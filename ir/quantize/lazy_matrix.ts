import { byteLengthOf, type DType } from '../dtypes/index.ts';
import { elementCount, readRange, type ReadOptions, type TensorData } from '../tensor.ts';
import { castData } from '../views/cast.ts';
import { rememberCodes } from './code_runs.ts';
import { QuantizeError } from './error.ts';
import type { QuantizeExecutor, QuantizeJob } from './executor.ts';
import { inOrder } from './in_order.ts';
import type { Choices } from './kernels/run_job.js';
import { Recent, type Holder } from './recent.ts';
import { rowRuns, type RowRun } from './row_runs.ts';
import type { QuantizedLayout } from './scheme.ts';

/** Weights of a job: some milliseconds of work, about a MB of memory. */
const RUN_WEIGHTS = 256 * 1024;

const recent = new Recent();

/** What a matrix becomes: codes of a format (ir/formats) in blocks. Everything is computed when it is read. */
export interface QuantizedMatrix {
  /** The format's first dtype of codes, [N, blocks, block]: rows are padded to whole blocks, the padding means 0. */
  readonly q: TensorData;
  /** f32 [N, blocks] of values that f16 represents; `castData(scales, 'f16')` reads them without a conversion. */
  readonly scales: TensorData;
  /**
   * The dtype of q, or f32 for float zero points, [N, blocks]; absent for symmetric schemes.
   */
  readonly zeros?: TensorData;
}

export interface LazyMatrix {
  readonly source: TensorData;
  readonly layout: QuantizedLayout;
  readonly executor: QuantizeExecutor;
  /**
   * Whether codes follow from weight, scale and zero point: where these are known, codes are made again without a
   * search.
   */
  readonly codesFollow: boolean;
  /** What codes depend on beside their row, where that can be told; equal for equal computations. */
  readonly recipe?: string;
  job(run: RowRun): QuantizeJob | Promise<QuantizeJob>;
}

/**
 * The three tensors of one computation. Scales and zero points of the rows that were read stay for a while (recent.ts),
 * so that nothing is searched twice whichever of the three is read first. Codes are made again where they follow; where
 * not (GPTQ) they stay as well.
 */
export function lazyQuantized(matrix: LazyMatrix): QuantizedMatrix {
  const results = new Results(matrix);
  const { source, layout } = matrix;
  const { rows, blocks, form, dtype } = layout;
  const tensor = (
    type: DType,
    shape: readonly number[],
    part: (done: Done) => ArrayBufferView,
    kind: string,
  ): TensorData => {
    const byteLength = byteLengthOf(type, elementCount(shape));
    const data: TensorData = {
      dtype: type,
      shape,
      byteLength,
      ...(source.from && { from: source.from }),
      chunks: (options) => results.read(byteLength, kind === 'codes' ? 'codes' : 'choices', part, options),
    };
    return matrix.recipe === undefined ? data : rememberCodes(data, source, `${kind} ${matrix.recipe}`);
  };
  const q = tensor(dtype, [rows, blocks, form.block], (done) => done.q!, 'codes');
  const scales = castData(
    tensor('f16', [rows, blocks], (done) => done.choices.scales, 'scales'),
    'f32',
  );
  if (form.symmetric) return { q, scales };
  const zeros = tensor(form.floatZero ? 'f16' : 'u8', [rows, blocks], (done) => done.choices.zeros!, 'zeros');
  return { q, scales, zeros: castData(zeros, form.floatZero ? 'f32' : dtype) };
}

interface Done {
  /** Where codes were asked for. */
  readonly q?: Uint8Array | undefined;
  readonly choices: Choices;
}

/** Rows of results, in runs of `#step` rows; what is kept is kept by the number of the run. */
class Results implements Holder {
  readonly #matrix: LazyMatrix;
  readonly #step: number;
  readonly #kept = new Map<number, Done>();
  heldBytes = 0;

  constructor(matrix: LazyMatrix) {
    this.#matrix = matrix;
    this.#step = Math.max(1, Math.floor(RUN_WEIGHTS / matrix.layout.columns));
  }

  release(): void {
    this.#kept.clear();
    this.heldBytes = 0;
  }

  /** The bytes of one of the tensors, which has `byteLength` of them and the same number in each row. */
  async *read(
    byteLength: number,
    need: 'codes' | 'choices',
    part: (done: Done) => ArrayBufferView,
    options?: ReadOptions,
  ): AsyncGenerator<Uint8Array> {
    const { begin, end, maxBytes } = readRange(byteLength, options);
    if (begin === end) return;
    const rowBytes = byteLength / this.#matrix.layout.rows;
    const first = Math.floor(begin / rowBytes);
    let at = first * rowBytes;
    for await (const done of this.#rows(first, Math.ceil(end / rowBytes), need)) {
      const view = part(done);
      const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
      const stop = Math.min(end - at, bytes.byteLength);
      for (let from = Math.max(begin - at, 0); from < stop; from += maxBytes)
        yield bytes.slice(from, Math.min(from + maxBytes, stop));
      at += bytes.byteLength;
    }
  }

  /** Rows [begin, end), run by run. Nothing is computed, and the source not read, where all of it is kept. */
  async *#rows(begin: number, end: number, need: 'codes' | 'choices'): AsyncGenerator<Done> {
    const { source, executor, codesFollow } = this.#matrix;
    recent.use(this);
    const kept = this.#keptRows(begin, end);
    if (kept && (need === 'choices' || !codesFollow)) {
      yield* kept;
      return;
    }
    let run = 0;
    yield* inOrder(rowRuns(source, begin, end, this.#step), executor.width, (rows) =>
      this.#quantize(rows, kept?.[run++]?.choices),
    );
  }

  async #quantize(run: RowRun, given: Choices | undefined): Promise<Done> {
    const { source, layout, executor, job, codesFollow } = this.#matrix;
    const reply = await executor.run({ ...(await job(run)), ...(given && { given }) });
    if (reply.fault) {
      const { row, column, value, finite } = reply.fault;
      const place = `weight ${value} in row ${run.first + row}, column ${column} of ${source.from?.key ?? 'the matrix'}`;
      if (!finite)
        throw new QuantizeError(
          'non_finite',
          `${place} has no code`,
          'repair the checkpoint, or leave this weight in a float dtype',
          source,
        );
      throw new QuantizeError(
        'overflow',
        `${place} needs a scale beyond 65504, f16's largest`,
        'leave this weight in f32, or allow overflow',
        source,
      );
    }
    const whole = run.first % this.#step === 0 && (run.rows === this.#step || run.first + run.rows === layout.rows);
    if (whole && !given) this.#keep(run.first / this.#step, codesFollow ? { choices: reply.choices } : reply);
    return reply;
  }

  #keep(run: number, done: Done): void {
    if (this.#kept.has(run)) return;
    this.#kept.set(run, done);
    this.heldBytes +=
      (done.q?.byteLength ?? 0) + done.choices.scales.byteLength + (done.choices.zeros?.byteLength ?? 0);
    recent.use(this);
  }

  /** The parts of kept runs that make up rows [begin, end); undefined when one is missing. */
  #keptRows(begin: number, end: number): Done[] | undefined {
    const { blocks, rowBytes } = this.#matrix.layout;
    const parts: Done[] = [];
    for (let run = Math.floor(begin / this.#step); run * this.#step < end; run++) {
      const done = this.#kept.get(run);
      if (!done) return undefined;
      const from = Math.max(begin - run * this.#step, 0);
      const to = Math.min(end - run * this.#step, this.#step);
      const { scales, zeros } = done.choices;
      parts.push({
        q: done.q?.subarray(from * rowBytes, to * rowBytes),
        choices: {
          scales: scales.subarray(from * blocks, to * blocks),
          zeros: zeros?.subarray(from * blocks, to * blocks),
        },
      });
    }
    return parts;
  }
}
