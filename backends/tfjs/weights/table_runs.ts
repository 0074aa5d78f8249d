import { formats, type FormatName } from '../../../ir/formats/index.ts';
import type { Constant, Graph } from '../../../ir/graph.ts';
import { nodeHasTrait } from '../../../ir/ops/traits.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { contentKey, rowsBeforeFill } from '../../../ir/views/content.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import type { TfWeight } from '../graph.ts';
import { storedFloats } from '../lower/context.ts';
import { packedRows, packedZerosData } from '../lower/codes.ts';
import type { HostTable } from '../parts/host_table.ts';
import type { PlannedPart } from '../parts/parts_of.ts';
import type { TableRun } from '../plan.ts';

/** A head as it was written: the names of its weights by their data. */
export interface WrittenHead {
  readonly part: PlannedPart;
  readonly stored: ReadonlyMap<TensorData, string>;
}

/**
 * Where the rows of a table lie. A head whose matrix is the table (a tied embedding) has them already, shard by shard;
 * else the table gets weights of its own.
 */
export function tableRuns(
  table: HostTable,
  heads: readonly WrittenHead[],
): { readonly runs: readonly TableRun[]; readonly weights: readonly TfWeight[] } {
  const tied = tiedRuns(table, heads);
  if (tied) return { runs: tied, weights: [] };
  const { storage } = table;
  const name = table.input;
  // what fills the table up is not stored
  const rows = rowsBeforeFill(storage.kind === 'float' ? storage.data : storage.q);
  const first = (data: TensorData) => (rows === data.shape[0] ? data : sliceRows(data, 0, rows));
  if (storage.kind === 'float') {
    const data = first(storage.data);
    const weight: TfWeight = {
      name,
      shape: data.shape,
      dtype: 'float32',
      data,
      ...(data.dtype === 'f16' && { quantization: { dtype: 'float16' } }),
    };
    return { runs: [{ firstRow: 0, rows, storage: { kind: 'float', weight: name } }], weights: [weight] };
  }
  const words = packedRows(first(storage.q));
  const scales = first(storage.scales);
  const zeros = storage.zeros && packedZerosData(first(storage.zeros));
  const weights: TfWeight[] = [
    { name: `${name}.codes`, shape: words.shape, dtype: 'int32', data: words },
    { name: `${name}.scales`, shape: scales.shape, dtype: 'float32', ...storedFloats(scales) },
    ...(zeros ? [{ name: `${name}.zeros`, shape: zeros.shape, dtype: 'int32' as const, data: zeros }] : []),
  ];
  const [, , block] = storage.q.shape as readonly [number, number, number];
  return {
    runs: [
      {
        firstRow: 0,
        rows,
        storage: {
          kind: 'codes',
          ...meaningOf(storage.format),
          block,
          codes: `${name}.codes`,
          scales: `${name}.scales`,
          ...(zeros && { zeros: `${name}.zeros` }),
        },
      },
    ],
    weights,
  };
}

function meaningOf(format: FormatName): { readonly bits: 4 | 8; readonly codebook?: number[] } {
  const { bits, codebook } = formats[format];
  return { bits, ...(codebook && { codebook: [...codebook] }) };
}

/** Undefined unless the heads, one after the other, hold the first rows of the table. */
function tiedRuns({ storage }: HostTable, heads: readonly WrittenHead[]): readonly TableRun[] | undefined {
  const runs: TableRun[] = [];
  let firstRow = 0;
  for (const { part, stored } of heads) {
    const shard = matrixOf(part.graph);
    const pairs =
      storage.kind === 'float'
        ? [[storage.data, shard?.[0]]]
        : [
            [storage.q, shard?.[0]],
            [storage.scales, shard?.[1]],
            [storage.zeros, shard?.[2]],
          ];
    const rows = shard?.[0]?.shape[0] ?? 0;
    const same = (table: TensorData | undefined, own: TensorData | undefined) =>
      table === undefined || own === undefined
        ? table === own
        : firstRow + rows <= table.shape[0]! &&
          contentKey(sliceRows(table, firstRow, firstRow + rows)) === contentKey(own);
    if (!shard || !pairs.every(([table, own]) => same(table, own))) return undefined;
    const [codes, scales, zeros] = shard.map((data) => data && stored.get(data));
    if (codes === undefined) return undefined;
    if (storage.kind === 'float')
      runs.push({ firstRow, rows, folder: part.folder, storage: { kind: 'float', weight: codes } });
    else if (scales === undefined) return undefined;
    else
      runs.push({
        firstRow,
        rows,
        folder: part.folder,
        storage: {
          kind: 'codes',
          ...meaningOf(storage.format),
          block: storage.q.shape[2]!,
          codes,
          scales,
          ...(zeros !== undefined && { zeros }),
        },
      });
    firstRow += rows;
  }
  // rows beyond are zeros that fill the table up, or there are rows that no head has
  const filled = rowsBeforeFill(storage.kind === 'float' ? storage.data : storage.q);
  return heads.length > 0 &&
    firstRow >= Math.min(filled, storage.kind === 'float' ? storage.data.shape[0]! : storage.q.shape[0]!)
    ? runs
    : undefined;
}

/** The matrix of a head's product: floats, or codes with scales and zero points. */
function matrixOf(graph: Graph): readonly (TensorData | undefined)[] | undefined {
  const weights = new Map(
    graph.constants.flatMap((c: Constant) => (c.kind === 'weight' ? [[c.value, c.data] as const] : [])),
  );
  const product = graph.nodes.find((node) => nodeHasTrait(node, 'linear'));
  if (!product) return undefined;
  return product.inputs.slice(1).map((value) => {
    const cast = graph.nodes.find((node) => node.op === 'cast' && node.outputs[0] === value);
    return weights.get(cast?.inputs[0] ?? value);
  });
}
