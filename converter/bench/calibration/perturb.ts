import { valuesLike, withWeights, type HeldCheckpoint } from './held_checkpoint.ts';
import { normalSource } from './normal_source.ts';

export interface Perturbation {
  /** Standard deviation of what is added, as a share of the root mean square of the matrix. */
  readonly strength: number;
  readonly seed: number;
}

/** Normal noise on every matrix, tables and patches among them. Vectors stay: norms and biases are no codes. */
export function perturbed(held: HeldCheckpoint, { strength, seed }: Perturbation): HeldCheckpoint {
  const normal = normalSource(seed);
  const matrices = [...held.weights].filter(([, { shape }]) => shape.length > 1);
  return withWeights(
    held,
    new Map(
      matrices.map(([name, matrix]) => {
        const values = Array.from(matrix.data);
        const rms = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
        return [
          name,
          valuesLike(
            matrix,
            values.map((x) => x + strength * rms * normal()),
          ),
        ];
      }),
    ),
  );
}
