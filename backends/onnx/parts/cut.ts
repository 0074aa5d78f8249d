import { boundsOf } from '../../parts/bounds.ts';
import type { GraphProto, TensorProto } from '../proto/onnx_pb.ts';

/** A run of consecutive nodes of a graph, with what goes in and out. */
export interface Part {
  /** Of its first node, and of the one behind its last. */
  readonly begin: number;
  readonly end: number;
  /** Inputs of the graph and tensors of earlier parts that its nodes read. */
  readonly inputs: readonly string[];
  /** Tensors that later parts read, outputs of the graph, and stages. */
  readonly outputs: readonly string[];
  /** Initializers that its nodes read. */
  readonly initializers: readonly string[];
  readonly bytes: number;
}

export interface CutOptions {
  /** Tensors that are returned beside the outputs, of the end of layers. */
  readonly stages: ReadonlySet<string>;
  /** Inputs with the outputs that later runs get for them. */
  readonly linked: ReadonlyMap<string, string>;
  readonly maxBytes: number;
}

/**
 * A graph as parts that hold at most `maxBytes` of initializers each, cut as `boundsOf` says; layers end in `stages`.
 * No cut lies between what reads an input and what makes the output that a later run gets for it: all runs go through a
 * part before the next is opened.
 */
export function cutGraph(graph: GraphProto, { stages, linked, maxBytes }: CutOptions): readonly Part[] {
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, bytesOf(tensor)]));
  const steps = graph.node.map(({ input, output }) => ({
    weights: [...new Set(input)].filter((name) => initializers.has(name)),
    endsLayer: output.some((name) => stages.has(name)),
  }));
  const held = (name: string | number) => initializers.get(String(name))!;
  const bounds = boundsOf(steps, { bytesOf: held, isWhole: unbroken(graph, linked), maxBytes });
  const inputs = new Set(graph.input.map(({ name }) => name));
  const wanted = new Set([...graph.output.map(({ name }) => name), ...stages]);
  const madeIn = new Map<string, number>();
  const lastUse = new Map<string, number>();
  bounds.forEach(([begin, end], part) => {
    for (const node of graph.node.slice(begin, end)) {
      for (const name of node.input) lastUse.set(name, part);
      for (const name of node.output) madeIn.set(name, part);
    }
  });
  return bounds.map(([begin, end], part) => {
    const nodes = graph.node.slice(begin, end);
    const read = new Set(nodes.flatMap(({ input }) => input).filter((name) => name !== ''));
    const made = nodes.flatMap(({ output }) => output).filter((name) => name !== '');
    const own = [...read].filter((name) => initializers.has(name));
    return {
      begin,
      end,
      inputs: [...read].filter(
        (name) => !initializers.has(name) && (inputs.has(name) || (madeIn.get(name) ?? part) < part),
      ),
      outputs: made.filter((name) => wanted.has(name) || (lastUse.get(name) ?? part) > part),
      initializers: own,
      bytes: own.reduce((sum, name) => sum + initializers.get(name)!, 0),
    };
  });
}

/** Whether a cut before a node would part what reads an input from what makes the output that comes for it. */
function unbroken(graph: GraphProto, linked: ReadonlyMap<string, string>): (at: number) => boolean {
  const ranges = [...linked].map(([input, output]) => ({
    first: graph.node.findIndex((node) => node.input.includes(input)),
    made: graph.node.findIndex((node) => node.output.includes(output)),
  }));
  return (at) => ranges.some(({ first, made }) => first >= 0 && first < at && at <= made);
}

/** Bytes of an initializer, wherever they lie. */
export function bytesOf({ rawData, externalData }: TensorProto): number {
  const length = externalData.find(({ key }) => key === 'length')?.value;
  return length === undefined ? rawData.byteLength : Number(length);
}
