import { describe, expect, it } from 'vitest';
import { openSource } from '../../client/sources/open_source.ts';
import type { TablePlan, WeightGroup, WeightSpec } from '../plan.ts';
import type { TfjsBundle } from './bundle.ts';
import { TableRows } from './table_rows.ts';
import type { Tfjs } from './tfjs.ts';

/** A weight of a table: how it is described, and its bytes. */
interface Stored {
  readonly spec: WeightSpec;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const floats = (name: string, shape: readonly number[], values: readonly number[]): Stored => ({
  spec: { name, shape: [...shape], dtype: 'float32' },
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const words = (name: string, shape: readonly number[], values: readonly number[]): Stored => ({
  spec: { name, shape: [...shape], dtype: 'int32' },
  bytes: new Uint8Array(Int32Array.from(values).buffer),
});

/** Codes of some bits in 32-bit words, lowest bits first. */
function packed(codes: readonly number[], bits: number): number[] {
  const made = Array<number>(Math.ceil((codes.length * bits) / 32)).fill(0);
  codes.forEach((code, i) => (made[Math.floor((i * bits) / 32)]! |= code << ((i * bits) % 32)));
  return made;
}

function table(plan: Pick<TablePlan, 'rows' | 'columns' | 'runs'>, weights: readonly Stored[]): TableRows {
  const group: WeightGroup = { paths: ['table.bin'], weights: weights.map(({ spec }) => spec) };
  const blob = new Blob(weights.map(({ bytes }) => bytes));
  const bundle: TfjsBundle = {
    source: openSource(new Map([['table.bin', blob]]), 'tfjs.json'),
    plan: {} as TfjsBundle['plan'],
    parts: new Map(),
    sizes: new Map([['table.bin', blob.size]]),
  };
  return new TableRows({} as Tfjs, bundle, { input: 'rows', ids: 'ids', weights: [group], ...plan }, new Map());
}

describe('rows of floats', () => {
  const rows = () =>
    table(
      {
        rows: 7,
        columns: 2,
        runs: [
          { firstRow: 0, rows: 2, storage: { kind: 'float', weight: 'a' } },
          { firstRow: 2, rows: 3, storage: { kind: 'float', weight: 'b' } },
        ],
      },
      [floats('a', [2, 2], [1, 2, 3, 4]), floats('b', [3, 2], [5, 6, 7, 8, 9, 10])],
    );

  it('come from the run that has them, in the order that was asked for; those of none are 0', async () => {
    expect([...(await rows().rows([4, 0, 5, 1, 2, 0, 6]))]).toEqual([9, 10, 1, 2, 0, 0, 3, 4, 5, 6, 1, 2, 0, 0]);
    expect([...(await rows().rows([]))]).toEqual([]);
  });

  it.each([-1, 7, 1.5, NaN])('there is none of id %d', async (id) => {
    await expect(rows().rows([0, id])).rejects.toMatchObject({
      code: 'bad_input',
      message: expect.stringContaining(`ids holds ${id}`) as string,
    });
  });

  it('of halves are what these mean', async () => {
    const halves: Stored = {
      spec: { name: 'h', shape: [2, 2], dtype: 'float32', quantization: { dtype: 'float16' } },
      bytes: new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00).buffer),
    };
    const storage = { kind: 'float', weight: 'h' } as const;
    const half = table({ rows: 2, columns: 2, runs: [{ firstRow: 0, rows: 2, storage }] }, [halves]);
    expect([...(await half.rows([0, 1]))]).toEqual([1, -2, 2 ** -24, Infinity]);
  });
});

describe.each([4, 8] as const)('rows of codes of %d bits', (bits) => {
  const [rows, columns, block] = [3, 12, 8];
  const blocks = 2;
  const wide = (columns * bits) % 32 === 0 ? columns : Math.ceil((columns * bits) / 32) * (32 / bits);
  const code = (row: number, column: number) => (5 * row + 3 * column + 1) % 2 ** bits;
  const zero = (row: number, at: number) => (7 * row + 2 * at + 3) % 2 ** bits;
  const scale = (row: number, at: number) => 0.5 + row + 0.25 * at;
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);
  const codes = words(
    'codes',
    [rows, (wide * bits) / 32],
    range(rows).flatMap((row) =>
      packed(
        range(wide).map((column) => (column < columns ? code(row, column) : 0)),
        bits,
      ),
    ),
  );
  const scales = floats(
    'scales',
    [rows, blocks],
    range(rows).flatMap((row) => range(blocks).map((at) => scale(row, at))),
  );
  const points = packed(
    range(rows).flatMap((row) => range(blocks).map((at) => zero(row, at))),
    bits,
  );
  const zeros = words('zeros', [points.length], points);
  const made = (weights: readonly Stored[], more: object) =>
    table(
      {
        rows,
        columns,
        runs: [
          { firstRow: 0, rows, storage: { kind: 'codes', bits, block, codes: 'codes', scales: 'scales', ...more } },
        ],
      },
      weights,
    );
  const expected = (meaning: (row: number, column: number, at: number) => number) =>
    range(rows).flatMap((row) =>
      range(columns).map((column) => {
        const at = Math.floor(column / block);
        return Math.fround(meaning(row, column, at) * scale(row, at));
      }),
    );

  it('without zero points are from the middle', async () => {
    expect([...(await made([codes, scales], {}).rows(range(rows)))]).toEqual(
      expected((row, column) => code(row, column) - 2 ** (bits - 1)),
    );
  });

  it('with zero points, which lie without regard to rows', async () => {
    expect([...(await made([codes, scales, zeros], { zeros: 'zeros' }).rows(range(rows)))]).toEqual(
      expected((row, column, at) => code(row, column) - zero(row, at)),
    );
  });

  it('of a codebook', async () => {
    const codebook = range(2 ** bits).map((i) => i * i);
    expect([...(await made([codes, scales], { codebook }).rows(range(rows)))]).toEqual(
      expected((row, column) => codebook[code(row, column)]!),
    );
  });

  it('whose weights are not there, or have other rows, are damaged', () => {
    expect(() => made([codes], {})).toThrow(expect.objectContaining({ code: 'damaged' }));
    expect(() => made([codes, scales], { zeros: 'zeros' })).toThrow(/under "zeros"/);
    expect(() => made([codes, floats('scales', [2, blocks], [1, 1, 1, 1])], {})).toThrow(/3 rows of rows .* "scales"/);
  });
});
