import type { AttrCodec } from './attr.ts';
import type { Constant, Graph, Node, Port, Value } from './graph.ts';
import { ops } from './ops/index.ts';
import { sameType } from './type.ts';

/**
 * Whether two graphs are the same text: same names, types, constants, nodes and ports in the same order.
 * Weights are equal when they are the same data, or come from the same place (file, key, offset).
 */
export function sameGraph(a: Graph, b: Graph): boolean {
  const counterpart = new Map<Value, Value>();
  const define = (x: Value, y: Value) => {
    counterpart.set(x, y);
    return x.name === y.name && sameType(x.type, y.type);
  };
  const port = (x: Port, y: Port) => x.name === y.name && counterpart.get(x.value) === y.value;
  const node = (x: Node, y: Node) =>
    x.op === y.op &&
    all(x.inputs, y.inputs, (v, w) => counterpart.get(v) === w) &&
    printAttrs(x) === printAttrs(y) &&
    all(x.outputs, y.outputs, define);
  return (
    a.name === b.name &&
    all(a.inputs, b.inputs, define) &&
    all(a.constants, b.constants, (x, y) => sameConstant(x, y) && define(x.value, y.value)) &&
    all(a.nodes, b.nodes, node) &&
    all(a.outputs, b.outputs, port) &&
    all(a.stages, b.stages, port)
  );
}

/** `perm = [0, 2, 1]`, attributes in the order of the op's schema. */
export function printAttrs(node: Node): string {
  const schema: Readonly<Record<string, AttrCodec<unknown>>> = ops[node.op].attrs;
  const values = node.attrs as Readonly<Record<string, unknown>>;
  return Object.entries(schema)
    .map(([name, codec]) => `${name} = ${codec.print(values[name])}`)
    .join(', ');
}

function sameConstant(a: Constant, b: Constant): boolean {
  if (a.kind === 'literal') return b.kind === 'literal' && all([...a.tensor.data], [...b.tensor.data], Object.is);
  if (b.kind === 'literal') return false;
  const [from, other] = [a.data.from, b.data.from];
  return (
    a.data === b.data ||
    (from !== undefined &&
      other !== undefined &&
      from.file === other.file &&
      from.key === other.key &&
      from.byteOffset === other.byteOffset)
  );
}

function all<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  return a.length === b.length && a.every((x, i) => same(x, b[i]!));
}
