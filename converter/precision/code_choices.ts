import type { FormatName } from '../../ir/formats/index.ts';
import type { HeldOutRows } from '../../ir/observe/held_out.ts';
import type { QuantizedMatrix } from '../../ir/quantize/lazy_matrix.ts';
import { leastOutputError } from '../../ir/quantize/least_output_error.ts';
import type { TensorData } from '../../ir/tensor.ts';
import type { ChosenByData } from './chosen_by_data.ts';

/** How data chooses the codes of a matrix. */
export type Way = 'weighted' | 'gptq';

export interface Candidates {
  readonly data: TensorData;
  readonly format: FormatName;
  readonly plain: QuantizedMatrix;
  /** Ways that data chose. */
  readonly ways: readonly { readonly way: Way; readonly matrix: QuantizedMatrix }[];
  /** Inputs that chose nothing. */
  readonly judges: readonly HeldOutRows[];
}

/** Keeps of each matrix the codes that err least, and knows for which of them data won. */
export class CodeChoices {
  /** Of a matrix, by its name, what was kept each time that a graph asked for its codes. */
  readonly #kept = new Map<string, readonly (() => Promise<Way | undefined>)[]>();

  /** Nothing is read before codes are, or `decide` is called. */
  choose(name: string, { data, format, plain, ways, judges }: Candidates): QuantizedMatrix {
    if (ways.length === 0 || judges.length === 0) return plain;
    const { kept, ...codes } = leastOutputError(data, format, [plain, ...ways.map(({ matrix }) => matrix)], judges);
    this.#kept.set(name, [...(this.#kept.get(name) ?? []), async () => ways[(await kept()) - 1]?.way]);
    return codes;
  }

  /** Decides what is not decided: the same rows decide it whenever that is. @throws QuantizeError for a bad weight */
  async decide(
    onProgress: (done: number, total: number) => void,
  ): Promise<Pick<ChosenByData, 'matrices' | 'weighted' | 'gptq'>> {
    const won = { weighted: new Set<string>(), gptq: new Set<string>() };
    let done = 0;
    for (const [name, asked] of this.#kept) {
      for (const kept of asked) {
        const way = await kept();
        if (way) won[way].add(name);
      }
      onProgress(++done, this.#kept.size);
    }
    return { matrices: this.#kept.size, weighted: [...won.weighted].toSorted(), gptq: [...won.gptq].toSorted() };
  }
}
