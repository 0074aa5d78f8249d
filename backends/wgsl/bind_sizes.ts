import { CAPACITY, type Phase, type Plan, type PlannedValue, type Size } from './bundle/plan.ts';
import { sizeOf } from './runtime/sizes.ts';
import { BackendError } from '../error.ts';

/** Shapes of tensors by name. */
type Shapes = Readonly<Record<string, { readonly shape: readonly number[] }>>;

/**
 * Caches have this much more room than they need, or more, up to a multiple of it: that nothing relies on packed rows.
 */
const CAPACITY_STEP = 16;

/**
 * The sizes that inputs of a phase state by their shapes, with what scalar inputs say and room for what grows.
 * @throws BackendError when shapes contradict each other or leave a size open
 */
export function bindSizes(
  { symbols }: Plan,
  phase: Phase,
  inputs: Shapes,
  scalarOf: (input: string) => number,
): Record<string, number> {
  const known = new Map<number, number>();
  const rows = phase.inputs.flatMap((value) => sizesOf(value, inputs[value.name]!.shape));
  for (let open = rows; open.length > 0;) {
    const left = open.filter((row) => !bind(row, known));
    if (left.length === open.length) break;
    open = left;
  }
  const sizes = symbols.map((_, index) => known.get(index) ?? 0);
  for (const { size, given, name } of rows)
    if (sizeOf(size, sizes) !== given)
      throw new BackendError(
        'bad-input',
        `input "${name}" has a size of ${given} where the others say ${sizeOf(size, sizes)}`,
        { tensor: name },
      );
  const named: Record<string, number> = Object.fromEntries(
    [...known].map(([index, value]) => [symbols[index]!, value]),
  );
  for (const { symbol, input, whenZero } of phase.scalars) {
    const all = sizeOf(whenZero, sizes);
    sizes[symbol] = named[symbols[symbol]!] = Math.min(scalarOf(input) || all, all);
  }
  const growing = [...phase.inputs, ...phase.outputs, ...phase.stages].flatMap((value) =>
    value.growing === undefined ? [] : [sizeOf(value.shape[value.growing]!, sizes)],
  );
  named[CAPACITY] = (Math.floor(Math.max(0, ...growing) / CAPACITY_STEP) + 1) * CAPACITY_STEP;
  return named;
}

interface GivenSize {
  readonly name: string;
  readonly size: Size;
  readonly given: number;
}

function sizesOf({ name, shape }: PlannedValue, given: readonly number[]): readonly GivenSize[] {
  if (shape.length !== given.length)
    throw new BackendError('bad-input', `input "${name}" has ${given.length} axes, not ${shape.length}`, {
      tensor: name,
    });
  return shape.map((size, axis) => ({ name, size, given: given[axis]! }));
}

/** Solves for the one symbol that is open; whether none is left. */
function bind({ name, size: { constant, terms }, given }: GivenSize, known: Map<number, number>): boolean {
  const open = terms.filter(({ symbol }) => !known.has(symbol));
  if (open.length !== 1) return open.length === 0;
  const [{ symbol, factor }] = open as [Size['terms'][0]];
  const rest = terms.reduce(
    (sum, term) => sum + (term.symbol === symbol ? 0 : term.factor * known.get(term.symbol)!),
    constant,
  );
  const value = (given - rest) / factor;
  if (!Number.isInteger(value) || value < 0)
    throw new BackendError('bad-input', `input "${name}" has a size of ${given}, which is too small or uneven`, {
      tensor: name,
    });
  known.set(symbol, value);
  return true;
}
