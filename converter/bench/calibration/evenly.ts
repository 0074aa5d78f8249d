/** At most `count`, over the whole. */
export function evenly<T>(all: readonly T[], count: number): readonly T[] {
  return all.filter((_, i) => Math.floor(((i + 1) * count) / all.length) > Math.floor((i * count) / all.length));
}
