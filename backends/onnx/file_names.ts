import { BackendError } from '../error.ts';

/**
 * What transformers.js appends to a graph's name for each `dtype` (its src/utils/dtypes.js), and for int4, which it
 * calls q4. It has none for bf16: weights that are stored so are computed with in f32 where it runs them, and it opens
 * them as fp32.
 */
const suffixes: Readonly<Record<string, string>> = {
  fp32: '',
  fp16: '_fp16',
  bf16: '',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  int4: '_q4',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
};

/** The precisions that have a file name, in the order in which a folder is searched. */
export const precisions: readonly string[] = Object.keys(suffixes);

/** Names that transformers.js gives to graphs, where they differ from ours. */
const fileStems: Readonly<Record<string, string>> = { decoder: 'decoder_model_merged' };

/** `decoder_model_merged_fp16.onnx`. @throws BackendError for a precision without a suffix. */
export function modelFileName(graph: string, precision: string): string {
  const suffix = Object.hasOwn(suffixes, precision) ? suffixes[precision] : undefined;
  if (suffix === undefined)
    throw new BackendError('unsupported', `no ONNX file name for precision "${precision}"`, {
      hint: `choose one of ${precisions.join(', ')}`,
    });
  if (!/^\w+$/.test(graph))
    throw new BackendError('unsupported', `graph name "${graph}" cannot be a file name`, {
      hint: 'use letters, digits and _',
    });
  return `${fileStems[graph] ?? graph}${suffix}.onnx`;
}

/** Graphs that a file of this name may hold, whatever its precision. */
export function graphsOf(fileName: string): readonly string[] {
  const ends = [...new Set(Object.values(suffixes))].map((suffix) => `${suffix}.onnx`);
  return ends.flatMap((end) => {
    const stem = fileName.endsWith(end) ? fileName.slice(0, -end.length) : '';
    if (!/^\w+$/.test(stem)) return [];
    return [Object.keys(fileStems).find((graph) => fileStems[graph] === stem) ?? stem];
  });
}

/** `model.onnx_data`, `model.onnx_data_1`, …: the names under which transformers.js asks for external data. */
export function dataFileName(modelFile: string, index: number): string {
  return `${modelFile}_data${index === 0 ? '' : `_${index}`}`;
}
