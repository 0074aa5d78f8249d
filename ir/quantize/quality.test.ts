import { describe, expect, test } from 'vitest';
import { formats } from '../formats/index.ts';
import { bytesData, type TensorData } from '../tensor.ts';
import { dequantize, weightSnr } from '../testing/dequantize.ts';
import { sampleWeights, type WeightDistribution } from '../testing/weights.ts';
import { quantizeMatrix } from './quantize_matrix.ts';
import { usualScheme, type Scheme } from './scheme.ts';

const COLUMNS = 1024;
const ROWS = 32;
const DISTRIBUTIONS = ['gauss', 'laplace', 'student_t5'] as const;

/**
 * How far 32,768 samples may lie from the mean over many: twice the standard deviation of the row that varies most
 * (int8 on Student-t, 0.13 dB over 20 seeds).
 */
const SAMPLING_DB = 0.26;
/**
 * What the search must gain over symmetric round to nearest where nothing but scale and zero point of the format limit
 * it.
 */
const LEAST_GAIN_DB = 2.5;
/**
 * The same with integer zero points: 16 of them cannot shift a Gauss block to its middle. Trying 200 scales with all of
 * them gives 2.05, 2.52 and 2.75.
 */
const LEAST_GAIN_INTEGER_DB: Readonly<Record<WeightDistribution, number>> = {
  gauss: 1.95,
  laplace: 2.4,
  student_t5: 2.5,
};

/** Of columns whose importance varies as exp(2 N(0, 1)): 1.2 (int8) to 3.5 dB (float zero point) when measured. */
const LEAST_WEIGHTED_GAIN_DB = 1;

const samples = new Map(
  DISTRIBUTIONS.map((distribution, i) => [distribution, sampleWeights(distribution, ROWS * COLUMNS, i + 1)]),
);

function matrix(values: Float32Array): TensorData {
  return bytesData('f32', [ROWS, COLUMNS], new Uint8Array(values.buffer));
}

async function snr(distribution: WeightDistribution, scheme: Scheme): Promise<number> {
  const values = samples.get(distribution)!;
  return weightSnr(
    values,
    await dequantize(quantizeMatrix(matrix(values), scheme), COLUMNS, formats[scheme.format].codebook),
  );
}

const int4 = { format: 'int4', block: 32 } as const;
const int8 = { format: 'int8', block: 32 } as const;
const RTN4: Scheme = { ...int4, symmetric: true, algorithm: 'rtn' };

/** Weight SNR in dB: the table of docs/quality.md. */
const TABLE: readonly (readonly [Scheme, number, number, number])[] = [
  [RTN4, 20.3, 18.3, 18.2],
  [{ ...int4, symmetric: true, algorithm: 'search' }, 21.8, 19.8, 19.7],
  [{ ...int4, symmetric: false, algorithm: 'rtn' }, 21.8, 20.5, 20.6],
  [{ ...int4, symmetric: false, algorithm: 'search' }, 22.3, 20.8, 21.0],
  [{ ...int4, symmetric: false, algorithm: 'search', floatZero: true }, 23.2, 21.7, 21.9],
  [{ ...int8, symmetric: true, algorithm: 'rtn' }, 45.4, 43.5, 43.4],
  [{ ...int8, symmetric: true, algorithm: 'search' }, 46.0, 43.8, 43.8],
  [usualScheme('nf4'), 20.8, 19.8, 19.6],
];

describe.each(TABLE)('%o', (scheme, ...expected) => {
  test.each(DISTRIBUTIONS.map((distribution, i) => [distribution, expected[i]!] as const))(
    '%s: %d dB',
    async (distribution, db) => {
      expect(Math.abs((await snr(distribution, scheme)) - db)).toBeLessThan(SAMPLING_DB);
    },
  );
});

test.each(DISTRIBUTIONS)('the 4-bit search beats symmetric round to nearest on %s', async (distribution) => {
  const nearest = await snr(distribution, RTN4);
  const float = await snr(distribution, { ...int4, symmetric: false, algorithm: 'search', floatZero: true });
  const integer = await snr(distribution, { ...int4, symmetric: false, algorithm: 'search' });
  expect(float - nearest).toBeGreaterThan(LEAST_GAIN_DB);
  expect(integer - nearest).toBeGreaterThan(LEAST_GAIN_INTEGER_DB[distribution]);
});

test.each(DISTRIBUTIONS)('hqq lies between round to nearest and the search on %s', async (distribution) => {
  for (const floatZero of [false, true]) {
    const of = (algorithm: Scheme['algorithm']) =>
      snr(distribution, { ...int4, symmetric: false, algorithm, floatZero });
    const [rtn, hqq, search] = [await of('rtn'), await of('hqq'), await of('search')];
    expect(hqq).toBeGreaterThan(rtn);
    expect(hqq).toBeLessThan(search);
  }
});

test('per channel: the 4-bit search clips the outliers that set the range', async () => {
  const perChannel = { format: 'int4', block: 0, symmetric: true } as const;
  const [rtn, search] = [
    await snr('student_t5', { ...perChannel, algorithm: 'rtn' }),
    await snr('student_t5', { ...perChannel, algorithm: 'search' }),
  ];
  expect(search - rtn).toBeGreaterThan(LEAST_GAIN_DB);
});

test.each<Scheme>([
  { ...int4, symmetric: false, algorithm: 'search' },
  { ...int4, symmetric: false, algorithm: 'search', floatZero: true },
  { ...int4, symmetric: true, algorithm: 'search' },
  { ...int8, symmetric: true, algorithm: 'search' },
])('importance lowers the weighted error: %o', async (scheme) => {
  const values = samples.get('laplace')!;
  const importance = Float64Array.from(sampleWeights('gauss', COLUMNS, 9, 1), (x) => Math.exp(2 * x));
  const of = async (options: { importance?: Float64Array }) =>
    weightSnr(values, await dequantize(quantizeMatrix(matrix(values), scheme, options), COLUMNS), importance);
  expect(await of({ importance })).toBeGreaterThan((await of({})) + LEAST_WEIGHTED_GAIN_DB);
});
