/**
 * Dimensions: a number, or a linear expression over named symbols such as `past + seq` or `8*seq`.
 * Linear is enough for every graph here, keeps equality decidable, and prints as people write it.
 */
export interface SymDim {
  readonly terms: readonly (readonly [name: string, coefficient: number])[];
  readonly offset: number;
}
export type Dim = number | SymDim;
/** Symbol values at run time. */
export type Bindings = ReadonlyMap<string, number>;

/** A symbol as a size. */
export function sym(name: string): SymDim {
  return { terms: [[name, 1]], offset: 0 };
}

function normalize(terms: Map<string, number>, offset: number): Dim {
  const kept = [...terms].filter(([, c]) => c !== 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return kept.length === 0 ? offset : { terms: kept, offset };
}

function combine(a: Dim, b: Dim, scale: number): Dim {
  const terms = new Map<string, number>(typeof a === 'number' ? [] : a.terms);
  if (typeof b !== 'number') for (const [name, c] of b.terms) terms.set(name, (terms.get(name) ?? 0) + scale * c);
  const offset = (d: Dim) => (typeof d === 'number' ? d : d.offset);
  return normalize(terms, offset(a) + scale * offset(b));
}

export const addDims = (a: Dim, b: Dim): Dim => combine(a, b, 1);
export const subDims = (a: Dim, b: Dim): Dim => combine(a, b, -1);
export const scaleDim = (a: Dim, k: number): Dim => combine(0, a, k);

/** Whether two sizes are equal whatever their symbols are. */
export function sameDim(a: Dim, b: Dim): boolean {
  return combine(a, b, -1) === 0;
}

/** The product, when it is linear; undefined for symbol × symbol. */
export function mulDims(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === 'number') return scaleDim(b, a);
  return typeof b === 'number' ? scaleDim(a, b) : undefined;
}

/**
 * Whether two lists of dims have the same product. Symbolic dims must match one to one up to integer factors:
 * enough to prove every reshape that splits, merges or moves one axis.
 */
export function sameProduct(a: readonly Dim[], b: readonly Dim[]): boolean {
  const [ka, sa] = factor(a);
  const [kb, sb] = factor(b);
  return ka === kb && (ka === 0 || (sa.length === sb.length && sa.every((d, i) => d === sb[i])));
}

/** A product as an integer content and the sorted text of the primitive symbolic factors. */
function factor(dims: readonly Dim[]): [number, string[]] {
  let content = 1;
  const symbols: string[] = [];
  for (const d of dims) {
    if (typeof d === 'number') content *= d;
    else {
      const divisor = [d.offset, ...d.terms.map(([, c]) => c)].reduce(gcd);
      content *= divisor;
      symbols.push(printDim({ terms: d.terms.map(([n, c]) => [n, c / divisor]), offset: d.offset / divisor }));
    }
  }
  return [content, symbols.sort()];
}

function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}

/** The value of a dim. @throws Error naming the symbol that has no value. */
export function evaluateDim(d: Dim, bindings: Bindings): number {
  if (typeof d === 'number') return d;
  return d.terms.reduce((sum, [name, c]) => {
    const value = bindings.get(name);
    if (value === undefined) throw new Error(`dimension "${name}" has no value`);
    return sum + c * value;
  }, d.offset);
}

/** Names of the symbols in a size. */
export function symbolsOf(d: Dim): string[] {
  return typeof d === 'number' ? [] : d.terms.map(([name]) => name);
}

/** `past + 1`: as `parseDim` reads it. */
export function printDim(d: Dim): string {
  if (typeof d === 'number') return String(d);
  const parts = d.terms.map(([name, c]) => ({
    negative: c < 0,
    text: Math.abs(c) === 1 ? name : `${Math.abs(c)}*${name}`,
  }));
  if (d.offset !== 0) parts.push({ negative: d.offset < 0, text: String(Math.abs(d.offset)) });
  return parts.map((p, i) => (i === 0 ? (p.negative ? '-' : '') : p.negative ? ' - ' : ' + ') + p.text).join('');
}

const TERM = String.raw`(\d+\s*\*\s*)?(\d+|[A-Za-z_]\w*)`;
const DIM = new RegExp(String.raw`^\s*-?\s*${TERM}(\s*[+-]\s*${TERM})*\s*$`);

/** Reads what printDim writes. @throws Error naming the text. */
export function parseDim(text: string): Dim {
  if (!DIM.test(text)) throw new Error(`"${text}" is not a dimension: expected e.g. 12, seq, past + 8*seq - 1`);
  const source = text.replaceAll(/\s+/g, '');
  let dim: Dim = 0;
  for (const [, sign, factorText, atom] of source.matchAll(/([+-]?)(?:(\d+)\*)?(\w+)/g)) {
    const value: Dim = /^\d+$/.test(atom!) ? Number(atom) : sym(atom!);
    dim = combine(dim, scaleDim(value, Number(factorText ?? 1)), sign === '-' ? -1 : 1);
  }
  return dim;
}
