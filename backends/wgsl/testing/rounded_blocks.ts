const BLOCK = 32;

/**
 * What numbers become as signed bytes with a scale for 32 of them, in f32, halves to even: written down once more, for
 * tests.
 */
export function roundedBlocks(values: readonly number[]): number[] {
  return values.map((_, i) => {
    const begin = i - (i % BLOCK);
    const block = values.slice(begin, begin + BLOCK).map(Math.fround);
    const peak = Math.max(...block.map(Math.abs));
    if (peak === 0) return 0;
    return halfToEven(Math.fround(block[i - begin]! * Math.fround(127 / peak))) * Math.fround(peak / 127);
  });
}

function halfToEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? 2 * Math.round(floor / 2) : Math.round(x);
}
