import { LITERALS, of, below, WORDS, type Change } from './random.ts';

/** Values that readers stumble over; texts are `WORDS`. */
const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1e9,
  2 ** 31,
  2 ** 53,
  1e308,
  '',
  [],
  {},
  [[]],
  [{}],
];

type Container = Record<string, unknown> | unknown[];

/**
 * Changes one value or one key of the JSON in a file: bytes changed at random are no JSON, mostly, and say little of
 * what reads it. The length before a safetensors' header stays right.
 */
export const jsonChange: Change = (bytes, random) => {
  const [from, to] = [bytes.indexOf('{'), bytes.lastIndexOf('}') + 1];
  const root = parsed(bytes.subarray(from, to).toString());
  if (from < 0 || root === undefined) return bytes;
  const places = [...placesIn(root)];
  if (places.length === 0) return bytes;
  const [container, key] = of(random, places);
  const turn = random();
  if (turn < 0.15) remove(container, key);
  else if (turn < 0.3) {
    const [from, at] = of(random, places);
    set(container, key, from[at as never]);
  } else if (turn < 0.4 && !Array.isArray(container)) {
    // under another name
    const { [key]: value } = container;
    remove(container, key);
    set(container, random() < 0.5 ? of(random, WORDS) : of(random, places)[1], value);
  } else if (turn < 0.5 && Array.isArray(container))
    container.splice(below(random, container.length + 1), 0, ...container);
  else if (turn < 0.65) set(container, key, of(random, WORDS));
  else if (turn < 0.75) set(container, key, shifted(container[key as never], random));
  else set(container, key, of(random, VALUES));
  const text = Buffer.from(JSON.stringify(root));
  const before = Buffer.from(bytes.subarray(0, from));
  if (from === 8 && before.readBigUInt64LE() >= BigInt(to - from))
    before.writeBigUInt64LE(before.readBigUInt64LE() + BigInt(text.length - (to - from)));
  return Buffer.concat([before, text, bytes.subarray(to)]);
};

function parsed(text: string): Container | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Container) : undefined;
  } catch {
    return undefined;
  }
}

/** Every place of a value within, as what holds it and its key. */
function* placesIn(container: Container): Generator<readonly [Container, string]> {
  const open = [container];
  while (open.length > 0) {
    const next = open.pop()!;
    for (const [key, value] of Object.entries(next)) {
      yield [next, key];
      if (typeof value === 'object' && value !== null) open.push(value as Container);
    }
  }
}

function remove(container: Container, key: string): void {
  if (Array.isArray(container)) container.splice(Number(key), 1);
  else delete container[key];
}

function set(container: Container, key: string, value: unknown): void {
  // not by assignment: `__proto__` is to be a key
  Object.defineProperty(container, key, {
    value: structuredClone(value),
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

/** A little more or less of it. */
function shifted(value: unknown, random: () => number): unknown {
  if (typeof value === 'number') return of(random, [value + 1, value - 1, -value, value * 1e6, value / 3]);
  if (typeof value === 'string') return of(random, [value.slice(1), `${value}0`, value.toUpperCase(), Number(value)]);
  return of(random, LITERALS);
}
