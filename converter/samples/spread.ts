/** At most `count`, evenly over the whole. */
export function spread<T>(all: readonly T[], count: number): readonly T[] {
  return all.length <= count
    ? all
    : Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
}
