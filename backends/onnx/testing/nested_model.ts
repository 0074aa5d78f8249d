import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A model whose graph has a node whose attribute is a graph whose node … `depth` times: model.graph 7, graph.node 1, node.attribute 5, attribute.g 6. */
export function nestedModel(depth: number): Uint8Array {
  let graph: Uint8Array = new Uint8Array();
  for (let i = 0; i < depth; i++) graph = field(1, field(5, field(6, graph)));
  return Buffer.concat([new BinaryWriter().tag(1, WireType.Varint).int64(10n).finish(), field(7, graph)]);
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}
