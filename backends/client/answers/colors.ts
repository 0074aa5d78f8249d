/**
 * Colours that stay apart, for people with colour blindness too as far as that goes: Okabe and Ito's seven, then
 * Kelly's.
 */
const COLORS = [
  '#e69f00',
  '#56b4e9',
  '#009e73',
  '#f0e442',
  '#0072b2',
  '#d55e00',
  '#cc79a7',
  '#803e75',
  '#c10020',
  '#93aa00',
  '#f6768e',
  '#53377a',
  '#7f180d',
  '#cea262',
  '#00538a',
];

/** A colour (`#rrggbb`) for each name; objects with one name share it, those without a name have one each. */
export function colorsOf(names: readonly string[]): readonly string[] {
  const known = new Map<string, string>();
  return names.map((name, i) => {
    const key = name === '' ? `${i}` : `=${name}`;
    const color = known.get(key) ?? COLORS[known.size % COLORS.length]!;
    known.set(key, color);
    return color;
  });
}

/** 0 to 255. */
export function channelsOf(color: string): readonly [r: number, g: number, b: number] {
  const channel = (at: number) => Number.parseInt(color.slice(at, at + 2), 16);
  return [channel(1), channel(3), channel(5)];
}

/** Black or white, whichever can be read on a colour. */
export function inkOn(color: string): '#000' | '#fff' {
  const [r, g, b] = channelsOf(color).map((value) => (value / 255) ** 2.2);
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b! > 0.4 ? '#000' : '#fff';
}
