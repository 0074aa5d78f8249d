/** A graph that does not type: the op, what was expected and what came. */
export class IrTypeError extends Error {
  override readonly name = 'IrTypeError';
}

/** Text that is not IR, or graph data that does not fit its types, with the place. */
export class IrError extends Error {
  override readonly name = 'IrError';
}

/** @throws IrError with `message` where the types of operands do not fit */
export function expectType(condition: boolean, message: string): asserts condition {
  if (!condition) throw new IrTypeError(message);
}
