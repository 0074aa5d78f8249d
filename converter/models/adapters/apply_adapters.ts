import { elementCount, type TensorData } from '../../../ir/tensor.ts';
import { concatRows } from '../../../ir/views/concat.ts';
import { reshapeData, sliceRows } from '../../../ir/views/select.ts';
import { shorten } from '../../checkpoints/strict_json.ts';
import { BadInputError } from '../../errors.ts';
import { castData } from '../../../ir/views/cast.ts';
import type { Adapter, ModuleChange } from './adapter.ts';
import { scalingOf } from './adapter_config.ts';
import { matrixShape, readFloats } from './f32_rows.ts';
import { lowRankNorm, requireFinite, type LowRank } from './low_rank.ts';
import { addedBias, measuredChange, mergedDora, mergedEmbeddingDora, mergedLora, replacedRows } from './merge.ts';
import { groupTensors, hasFactors, placeOf, trainedOn, unusedTargets, type ModuleTensors } from './module_tensors.ts';
import { rowsFit, withRowsOf, type TableSizes } from './table_rows.ts';

export type { TableSizes } from './table_rows.ts';

const TABLE = 'lm.embed';
const HEAD = 'lm.head';

export interface AdaptedWeights {
  /**
   * All weights, in their order; those that changed are f32 and computed while they are read. `lm.head` may have come
   * on top.
   */
  readonly weights: Map<string, TensorData>;
  readonly changes: readonly ModuleChange[];
  readonly warnings: readonly string[];
  /** Every tensor of every adapter, and the weight that it changes. */
  readonly used: readonly UsedTensor[];
  /** Weights of the base of which an adapter has all rows. */
  readonly replaced: ReadonlySet<string>;
}

export interface UsedTensor {
  /** Which of the adapters, from 0. */
  readonly adapter: number;
  readonly data: TensorData;
  readonly weight: string;
  /** Whether it is the weight itself. */
  readonly isWhole: boolean;
}

/**
 * Canonical weights with adapters merged, one after the other, each into what the ones before left: as PEFT's
 * `merge_and_unload` of each in turn. LoRAs simply add up; DoRA takes its norms of what it is given.
 *
 * Reads the adapters once, for their norms and to find NaN; of the base only what DoRA and whole tensors are compared
 * with.
 *
 * A tied head stays what it was unless the adapter has tensors of its own for `lm_head`: an adapter on `embed_tokens`
 * alone therefore unties the two. This is what PEFT's model computes, in training and after. (Its `merge_and_unload`
 * differs from that on tied weights, which it warns of: it adds in place, to both.) Where table and head come out
 * equal, the caller finds so by comparing them.
 *
 * @param canonicalName the name of the weight behind a Hugging Face parameter of any generation; undefined when there
 * is none
 * @param sizes allows a base and an adapter whose tables differ by `<image>` and padding only; without it they must be
 * equal
 * @throws BadInputError when an adapter does not fit the model or contradicts itself
 */
export async function applyAdapters(
  weights: ReadonlyMap<string, TensorData>,
  adapters: readonly Adapter[],
  canonicalName: (parameter: string) => string | undefined,
  sizes?: TableSizes,
): Promise<AdaptedWeights> {
  let current = new Map(weights);
  const changes: ModuleChange[] = [];
  const warnings: string[] = [];
  const used: UsedTensor[] = [];
  for (const [index, adapter] of adapters.entries()) {
    const before = current;
    const baseOf = (weight: string) => before.get(weight) ?? (weight === HEAD ? before.get(TABLE) : undefined);
    const modules = groupTensors(adapter, { canonicalName, has: (weight) => baseOf(weight) !== undefined });
    for (const { weight, parts } of modules)
      for (const [part, data] of parts)
        used.push({ adapter: index, data, weight, isWhole: part === 'full' || part === 'base_layer' });
    warnings.push(...unusedTargets(modules, adapter));
    const after = new Map(before);
    for (const module of modules) {
      const merged = await new ModuleMerge(adapter, module, baseOf(module.weight)!, sizes).merge();
      warnings.push(...merged.warnings);
      changes.push(...merged.changes);
      if (merged.changes.length > 0) after.set(module.weight, merged.data);
    }
    if (after.get(TABLE) !== before.get(TABLE) && !after.has(HEAD) && canonicalName('lm_head.weight') === HEAD) {
      const table = modules.find(({ weight }) => weight === TABLE)!;
      const tokens = table.parts.get('tokens');
      // PEFT lets a tied head have the rows of trained tokens, too, and nothing else of what is done to the embedding
      if (!tokens || table.parts.size > 1) {
        const parts = new Map(tokens ? [['tokens' as const, tokens]] : []);
        const head = await new ModuleMerge(adapter, { ...table, parts }, before.get(TABLE)!, sizes).merge();
        after.set(HEAD, head.data);
        warnings.push(
          `${adapter.name} changes the embedding and not the head, which were one matrix: the head stays the base’s, as in PEFT’s model.`,
        );
      }
    }
    if (adapter.scale !== 1 && modules.some(({ parts }) => parts.has('full') || parts.has('tokens')))
      warnings.push(`${adapter.name} replaces some weights whole: those are not scaled by ${adapter.scale}.`);
    current = after;
  }
  const replaced = new Set(used.flatMap(({ isWhole, weight }) => (isWhole ? [weight] : [])));
  return { weights: current, changes, warnings, used, replaced };
}

/** One weight of the base, and what one adapter has for it. */
class ModuleMerge {
  readonly #adapter: Adapter;
  readonly #tensors: ModuleTensors;
  readonly #base: TensorData;
  readonly #table: TableSizes | undefined;
  readonly #changes: ModuleChange[] = [];
  readonly #warnings: string[] = [];

  constructor(adapter: Adapter, tensors: ModuleTensors, base: TensorData, table: TableSizes | undefined) {
    this.#adapter = adapter;
    this.#tensors = tensors;
    this.#base = base;
    this.#table = tensors.weight === TABLE || tensors.weight === HEAD ? table : undefined;
  }

  /** The merged weight; it is the base itself when nothing changed. */
  async merge(): Promise<{ data: TensorData; changes: readonly ModuleChange[]; warnings: readonly string[] }> {
    const { parts } = this.#tensors;
    let data = this.#base;
    const whole = parts.get('full') ?? parts.get('base_layer');
    if (whole) data = await this.#replaced(data, whole);
    if (hasFactors(this.#tensors)) data = await this.#lowRank(data);
    const tokens = parts.get('tokens');
    if (tokens) data = await this.#withTokens(data, tokens);
    const bias = parts.get('lora_B.bias');
    if (bias) data = await this.#withBias(data, bias);
    return { data, changes: this.#changes, warnings: this.#warnings };
  }

  /**
   * A whole parameter. PEFT saves what an adapted embedding wraps too: where that is the base's own, nothing changes.
   */
  async #replaced(base: TensorData, whole: TensorData): Promise<TensorData> {
    this.#requireShape(whole, base.shape);
    const data = withRowsOf(base, whole);
    const rows = base.shape[0]!;
    const { norm, relative } = await measuredChange(base, sliceRows(data, 0, rows), true);
    if (norm === 0 && data.shape[0] === rows) return base;
    this.#note({ kind: 'replaced', norm, relative });
    return data;
  }

  async #lowRank(base: TensorData): Promise<TensorData> {
    const { parts, module } = this.#tensors;
    const { config, scale } = this.#adapter;
    const transposed = parts.has('lora_embedding_A');
    const [a, b] = transposed
      ? [parts.get('lora_embedding_A')!, parts.get('lora_embedding_B')!]
      : [parts.get('lora_A')!, parts.get('lora_B')!];
    const { rank, scaling } = scalingOf(config, module);
    this.#requireRank(a, a.shape[0], rank);
    this.#requireRank(b, b.shape[1], rank);
    const { rows, columns } = matrixShape(base);
    // lora_A [r, in] and lora_B [out, r], with the kernel's axes behind `in` for a convolution; of an embedding [r,
    // tokens] and [width, r].
    if (transposed) {
      this.#requireShape(a, [rank, rows], 'lora_embedding_A', 1);
      this.#requireShape(b, [columns, rank], 'lora_embedding_B', -1);
    } else {
      this.#requireShape(a, [rank, ...base.shape.slice(1)], 'lora_A', -1);
      this.#requireShape(
        b.shape.length > 2 && elementCount(b.shape.slice(2)) === 1 ? reshapeData(b, b.shape.slice(0, 2)) : b,
        [rows, rank],
        'lora_B',
        0,
      );
    }
    const factors: LowRank = {
      rank,
      scaling: scale * scaling,
      rows,
      columns,
      left: transposed ? a : b,
      right: transposed ? b : a,
      transposed,
    };
    const about = { rank, scaling: factors.scaling };
    const norm = await lowRankNorm(factors); // also for DoRA: it looks for NaN
    const magnitude = parts.get('magnitude');
    if (!magnitude) {
      this.#note({ kind: 'lora', norm, ...about });
      return mergedLora(base, factors);
    }
    const data = await this.#dora(base, factors, magnitude);
    this.#note({ kind: 'dora', ...(await measuredChange(base, data, false)), ...about });
    return data;
  }

  /** One magnitude per output of a layer, or per column of an embedding. */
  async #dora(base: TensorData, factors: LowRank, magnitude: TensorData): Promise<TensorData> {
    const count = elementCount(magnitude.shape);
    if (!factors.transposed) {
      this.#requireShape(reshapeData(magnitude, [count]), [factors.rows], 'lora_magnitude_vector', 0);
      requireFinite(await readFloats(magnitude), magnitude);
      // Rows of the base that no magnitude is for, padding of a head, cannot be scaled: whatever is put there is made
      // up.
      if (count < factors.rows) this.#failShape(magnitude, [factors.rows], 'lora_magnitude_vector');
      return mergedDora(base, factors, magnitude);
    }
    this.#requireShape(reshapeData(magnitude, [count]), [factors.columns], 'lora_magnitude_vector', -1);
    if (factors.left.shape[1] !== factors.rows)
      throw new BadInputError(
        'adapter_wrong_base',
        `"${shorten(this.#tensors.module)}": DoRA took the norms of ${factors.left.shape[1]} rows of the embedding, and this base has ${factors.rows}`,
        {
          ...placeOf(magnitude, this.#tensors.module, this.#adapter),
          hint: 'give the Hugging Face checkpoint that the adapter was trained on: its padding rows count in the norms',
        },
      );
    requireFinite(await readFloats(magnitude), magnitude);
    return mergedEmbeddingDora(base, factors, magnitude);
  }

  /** Rows of single tokens (PEFT's `trainable_token_indices`). */
  async #withTokens(data: TensorData, rows: TensorData): Promise<TensorData> {
    const { module } = this.#tensors;
    const { tokenIds } = this.#adapter.config;
    const ids = [...tokenIds].find(([name]) => module === name || module.endsWith(`.${name}`))?.[1] ?? [];
    const { columns, rows: count } = matrixShape(data);
    this.#requireShape(rows, [ids.length, columns], 'trainable_tokens_delta', -1);
    const beyond = ids.find((id) => id >= count);
    if (beyond !== undefined)
      throw new BadInputError(
        'adapter_wrong_base',
        `"${shorten(module)}": token ${beyond} was trained, and this table has ${count} rows${trainedOn(this.#adapter)}`,
        {
          ...placeOf(rows, module, this.#adapter),
          hint: 'give the base that the adapter was trained on, resized for its tokens; or save the adapter with save_embedding_layers=True',
        },
      );
    if (ids.length === 0) return data;
    const before = concatRows(ids.map((id) => castData(sliceRows(data, id, id + 1), 'f32')));
    this.#note({ kind: 'tokens', ...(await measuredChange(before, rows, true)) });
    return replacedRows(data, ids, rows);
  }

  async #withBias(base: TensorData, bias: TensorData): Promise<TensorData> {
    this.#requireShape(bias, base.shape, 'lora_B.bias', -1);
    const values = await readFloats(bias);
    requireFinite(values, bias);
    const module = this.#tensors.module.replace(/\.bias$/, '');
    const scaling = this.#adapter.scale * scalingOf(this.#adapter.config, module).scaling;
    this.#note({ kind: 'bias', norm: Math.abs(scaling) * Math.hypot(...values), scaling });
    return addedBias(base, bias, scaling);
  }

  #note(change: Omit<ModuleChange, 'adapter' | 'module' | 'weight'>): void {
    this.#changes.push({
      adapter: this.#adapter.name,
      module: this.#tensors.module,
      weight: this.#tensors.weight,
      ...change,
    });
  }

  #requireRank(data: TensorData, found: number | undefined, rank: number): void {
    if (data.shape.length >= 2 && found !== rank)
      throw new BadInputError(
        'adapter_rank',
        `"${shorten(this.#tensors.module)}": ${data.from?.key.split('.').slice(-2).join('.')} has rank ${found}, adapter_config.json says ${rank}`,
        {
          ...placeOf(data, this.#tensors.module, this.#adapter),
          hint: 'take the config and the weights of the same run; rank_pattern gives the ranks of single modules',
        },
      );
  }

  /**
   * @param what the part of the adapter that `data` is, beside the weight; the weight itself by default
   * @param axis the one along which a table may differ by `<image>` and padding; -1 for none
   */
  #requireShape(data: TensorData, shape: readonly number[], what?: string, axis = 0): void {
    const fits =
      data.shape.length === shape.length &&
      shape.every((d, i) =>
        i === axis ? rowsFit(data.shape[i]!, d, this.#table, what === undefined) : data.shape[i] === d,
      );
    if (!fits) this.#failShape(data, shape, what);
    else if (axis >= 0 && data.shape[axis] !== shape[axis])
      this.#warnings.push(
        `${this.#adapter.name}: ${what ?? 'the weight'} of ${this.#tensors.module} is for ${data.shape[axis]} rows and the base has ${shape[axis]}; ${this.#difference(data.shape[axis]!, shape[axis]!)}.`,
      );
  }

  /** What rows are that only one of the two tables has. */
  #difference(rows: number, baseRows: number): string {
    if (rows < baseRows) return 'the difference is <image> and padding, which stay as they are';
    const own = this.#table!.vocabSize - Math.max(baseRows, this.#table!.imageTokenId + 1);
    return own > 0
      ? `the difference is ${own === 1 ? 'a token' : `${own} tokens`} of its own, <image> and padding`
      : 'the difference is <image> and padding, which no model reads';
  }

  #failShape(data: TensorData, shape: readonly number[], what?: string): never {
    const { module } = this.#tensors;
    const added = this.#table && data.shape.length === shape.length && data.shape.every((d, i) => d >= shape[i]!);
    throw new BadInputError(
      'adapter_wrong_base',
      what === undefined
        ? `"${shorten(module)}" is [${data.shape.join(', ')}] in the adapter and [${shape.join(', ')}] in this base${trainedOn(this.#adapter)}`
        : `"${shorten(module)}" is [${this.#base.shape.join(', ')}] in this base; ${what} must be [${shape.join(', ')}] and is [${data.shape.join(', ')}]${trainedOn(this.#adapter)}`,
      {
        ...placeOf(data, module, this.#adapter),
        hint: added
          ? 'the base has no rows for its tokens: merge it in Python, PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(out), and convert that folder'
          : data.shape.length < 2
            ? 'shards were not gathered when the adapter was saved (DeepSpeed, FSDP): save it again; or give the base model that it was trained on'
            : 'give the base model that the adapter was trained on',
      },
    );
  }
}
