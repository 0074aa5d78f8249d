import { randomSource } from '../../../ir/random_source.ts';
import { mutantsOf, type Mutant } from './mutants.ts';

/** A source file of the tree. */
export interface Source {
  /** Relative to the tree, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface Sampled extends Mutant {
  readonly path: string;
  readonly line: number;
}

/**
 * `count` lines, each with one slip, the same for the same seed and tree. Folders are strata: each gets lines by the
 * square root of how many it has, so that small rooms are looked at as well. A line without code that can slip is
 * drawn again.
 */
export function sample(sources: readonly Source[], count: number, seed: number): readonly Sampled[] {
  const random = randomSource(seed);
  const folders = new Map<string, Source[]>();
  for (const source of sources) {
    const folder = source.path.slice(0, source.path.lastIndexOf('/'));
    folders.set(folder, [...(folders.get(folder) ?? []), source]);
  }
  const strata = [...folders.values()].map((files) => {
    const lines = files.map(({ text }) => text.split('\n').length);
    return { files, lines, weight: Math.sqrt(lines.reduce((sum, n) => sum + n, 0)) };
  });
  const total = strata.reduce((sum, { weight }) => sum + weight, 0);
  const found = new Map<string, Sampled>();
  for (let tries = 0; found.size < count && tries < 200 * count; tries++) {
    const { files, lines } = pick(
      strata,
      strata.map(({ weight }) => weight / total),
      random(),
    );
    const all = lines.reduce((sum, n) => sum + n, 0);
    const { path, text } = pick(
      files,
      lines.map((n) => n / all),
      random(),
    );
    const line = 1 + Math.floor(random() * text.split('\n').length);
    const mutants = mutantsOf(path, text, line);
    const mutant = mutants[Math.floor(random() * mutants.length)];
    if (mutant) found.set(`${path}:${line}`, { ...mutant, path, line });
  }
  return [...found.values()];
}

/** The item in whose share of [0, 1) a number lies. */
function pick<T>(items: readonly T[], shares: readonly number[], at: number): T {
  let sum = 0;
  const index = shares.findIndex((share) => (sum += share) > at);
  return items[index < 0 ? items.length - 1 : index]!;
}
