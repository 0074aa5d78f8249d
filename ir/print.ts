import { printNumber } from './attr.ts';
import { dtypes, isFloat, type DType } from './dtypes/index.ts';
import type { Constant, Graph, Node, Port, Value } from './graph.ts';
import { printAttrs } from './same_graph.ts';
import { isBareName } from './scanner.ts';
import { printType } from './type.ts';

/**
 * The text form of a graph, one line for each declaration and node:
 * ```
 * graph decoder {
 *   input %x: f32[batch, seq, 768]
 *   weight %w: bf16[768, 768] from "model.safetensors" "lm.w" at 4096
 *   literal %c: f32[] = 0.5
 *   %y: f32[batch, 768, seq] = transpose %x {perm = [0, 2, 1]}
 *   output "logits" = %y
 * }
 * ```
 * parseGraph reads it back exactly, but for the bytes of weights, which the text only points to.
 */
export function printGraph(graph: Graph): string {
  const lines = [
    ...graph.inputs.map((value) => `input ${printTyped(value)}`),
    ...graph.constants.map(printConstant),
    ...graph.nodes.map(printNode),
    ...graph.stages.map((port) => printPort('stage', port)),
    ...graph.outputs.map((port) => printPort('output', port)),
  ];
  return `graph ${printName(graph.name)} {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`;
}

function printName(name: string): string {
  return isBareName(name) ? name : JSON.stringify(name);
}

function printTyped({ name, type }: Value): string {
  return `%${printName(name)}: ${printType(type)}`;
}

function printConstant(constant: Constant): string {
  if (constant.kind === 'weight') {
    const { from } = constant.data;
    return `weight ${printTyped(constant.value)}${from ? ` from ${JSON.stringify(from.file)} ${JSON.stringify(from.key)} at ${from.byteOffset}` : ''}`;
  }
  const { dtype, shape, data } = constant.tensor;
  const values = Array.from(data, (x) => printElement(dtype, x));
  return `literal ${printTyped(constant.value)} = ${shape.length === 0 ? values.join() : `[${values.join(', ')}]`}`;
}

/** The shortest decimal that rounds to the same element: 0.1 for the f32 that is 0.10000000149011612. */
function printElement(dtype: DType, x: number): string {
  if (!isFloat(dtype) || !Number.isFinite(x)) return printNumber(x);
  for (let digits = 1; digits <= 16; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Object.is(dtypes[dtype].round(short), x)) return printNumber(short);
  }
  return printNumber(x);
}

/** `%y: f16[batch, seq, 768] = transpose %x {perm = [0, 2, 1]}` */
export function printNode(node: Node): string {
  const operands = node.inputs.map((value) => `%${printName(value.name)}`).join(', ');
  const attrs = printAttrs(node);
  return [`${node.outputs.map(printTyped).join(', ')} =`, node.op, operands, attrs && `{${attrs}}`]
    .filter(Boolean)
    .join(' ');
}

function printPort(kind: string, { name, value }: Port): string {
  return `${kind} ${JSON.stringify(name)} = %${printName(value.name)}`;
}
