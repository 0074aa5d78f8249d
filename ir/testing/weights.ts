import { randomSource } from '../random_source.ts';

/** What weights of trained models look like, from near to far tails. */
export type WeightDistribution = 'gauss' | 'laplace' | 'student_t5';

/** `count` values of a distribution, times `size`, as binary32. */
export function sampleWeights(
  distribution: WeightDistribution,
  count: number,
  seed: number,
  size = 0.02,
): Float32Array {
  const next = randomSource(seed);
  const gauss = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const draw = {
    gauss,
    laplace() {
      const x = next() - 0.5;
      return -Math.sign(x) * Math.log(1 - 2 * Math.abs(x));
    },
    student_t5() {
      const z = gauss();
      let square = 0;
      for (let i = 0; i < 5; i++) square += gauss() ** 2;
      return z / Math.sqrt(square / 5);
    },
  }[distribution];
  return Float32Array.from({ length: count }, () => size * draw());
}
