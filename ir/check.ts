import { checkOperandCount } from './builder.ts';
import { symbolsOf, type Dim } from './dim.ts';
import { byteLengthOf, dtypes, isDType } from './dtypes/index.ts';
import { IrError } from './error.ts';
import type { Constant, Graph, Node, Port, Program, Value } from './graph.ts';
import type { Op } from './op.ts';
import { isOpName, ops } from './ops/index.ts';
import { elementCount } from './tensor.ts';
import { printType, sameType } from './type.ts';

/**
 * Whether a graph is valid: names are unique, nodes stand in topological order, types are what inference says,
 * constants fit their types, ports exist, every symbol gets a value.
 * @throws IrError for the first fault, naming the graph and the node, constant or port.
 */
export function checkGraph(graph: Graph): void {
  const known = new Set<Value>();
  const names = new Set<string>();
  const symbols = new Set<string>();
  const fail = (place: string, message: string): never => {
    throw new IrError(`graph ${graph.name}, ${place}: ${message}`);
  };
  const define = (value: Value, place: string) => {
    if (names.has(value.name)) fail(place, `the name %${value.name} is taken`);
    names.add(value.name);
    const fault = typeFault(value);
    if (fault) fail(place, `%${value.name}: ${fault}`);
    known.add(value);
  };
  for (const input of graph.inputs) {
    define(input, `input %${input.name}`);
    for (const dim of input.type.shape) for (const symbol of symbolsOf(dim)) symbols.add(symbol);
  }
  for (const constant of graph.constants) {
    const place = `${constant.kind} %${constant.value.name}`;
    define(constant.value, place);
    const fault = constantFault(constant);
    if (fault) fail(place, fault);
  }
  for (const node of graph.nodes) {
    const place = printNodePlace(node);
    const missing = node.inputs.find((value) => !known.has(value));
    if (missing) fail(place, `operand %${missing.name} is not defined before it`);
    const fault = nodeFault(node);
    if (fault) fail(place, fault);
    if (node.op === 'take_last') for (const symbol of symbolsOf(node.attrs.kept)) symbols.add(symbol);
    const used = [
      ...node.outputs.flatMap((value) => value.type.shape),
      ...(node.op === 'dim_value' ? [node.attrs.dim] : []),
    ];
    const free = used.flatMap(symbolsOf).find((symbol) => !symbols.has(symbol));
    if (free !== undefined) fail(place, `dimension "${free}" never gets a value: no input has it`);
    for (const output of node.outputs) define(output, place);
  }
  checkPorts(graph.outputs, 'output', known, fail);
  checkPorts(graph.stages, 'stage', known, fail);
}

/** Every graph of a program. @throws IrError */
export function checkProgram(program: Program): void {
  const names = new Set<string>();
  for (const graph of program.graphs) {
    if (names.has(graph.name)) throw new IrError(`there are two graphs named ${graph.name}`);
    names.add(graph.name);
    checkGraph(graph);
  }
}

function checkPorts(
  ports: readonly Port[],
  kind: string,
  known: ReadonlySet<Value>,
  fail: (place: string, message: string) => never,
): void {
  const names = new Set<string>();
  for (const { name, value } of ports) {
    if (names.has(name)) fail(`${kind} "${name}"`, 'the name is taken');
    names.add(name);
    if (!known.has(value)) fail(`${kind} "${name}"`, `%${value.name} does not exist`);
  }
}

/** `%y = linear` */
function printNodePlace(node: Node): string {
  return `${node.outputs.map((value) => `%${value.name}`).join(', ')} = ${node.op}`;
}

function typeFault({ type }: Value): string | undefined {
  if (!isDType(type.dtype)) return `"${String(type.dtype)}" is not a dtype`;
  const bad = type.shape.find((dim) => !isValidDim(dim));
  return bad === undefined ? undefined : `${printType(type)} has a dimension that is no size`;
}

function isValidDim(dim: Dim): boolean {
  if (typeof dim === 'number') return Number.isSafeInteger(dim) && dim >= 0;
  return (
    dim.terms.length > 0 &&
    Number.isSafeInteger(dim.offset) &&
    dim.terms.every(([, c]) => Number.isSafeInteger(c) && c !== 0)
  );
}

function constantFault(constant: Constant): string | undefined {
  const { type } = constant.value;
  const { dtype, shape } = constant.kind === 'weight' ? constant.data : constant.tensor;
  if (!sameType(type, { dtype, shape }))
    return `its type is ${printType(type)}, its data ${printType({ dtype, shape })}`;
  const count = elementCount(shape);
  if (constant.kind === 'weight') {
    const expected = byteLengthOf(dtype, count);
    return constant.data.byteLength === expected
      ? undefined
      : `its data has ${constant.data.byteLength} bytes where ${printType(type)} has ${expected}`;
  }
  const { data } = constant.tensor;
  if (data.length !== count) return `it has ${data.length} values where ${printType(type)} has ${count}`;
  const wrong = data.findIndex((x) => !Object.is(dtypes[dtype].round(x), x));
  return wrong < 0 ? undefined : `value ${data[wrong]} is no ${dtype}`;
}

function nodeFault(node: Node): string | undefined {
  const name: string = node.op;
  if (!isOpName(name)) return `there is no op "${name}"`;
  const op = ops[name] as unknown as Op;
  const attrs = node.attrs as Readonly<Record<string, unknown>>;
  const missing = Object.keys(op.attrs).find((key) => !Object.hasOwn(attrs, key));
  if (missing !== undefined) return `the attribute ${missing} is missing`;
  const surplus = Object.keys(attrs).find((key) => !Object.hasOwn(op.attrs, key));
  if (surplus !== undefined) return `${name} has no attribute ${surplus}`;
  try {
    checkOperandCount(op, node.inputs.length);
    const inferred = op.infer(
      node.inputs.map((value) => value.type),
      attrs,
    );
    if (inferred.length !== node.outputs.length)
      return `it has ${node.outputs.length} results where ${name} has ${inferred.length}`;
    const wrong = inferred.findIndex((type, i) => !sameType(type, node.outputs[i]!.type));
    if (wrong >= 0)
      return `%${node.outputs[wrong]!.name} is declared ${printType(node.outputs[wrong]!.type)}, but ${name} gives ${printType(inferred[wrong]!)}`;
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}
