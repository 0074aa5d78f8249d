import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * A model whose graph has a node whose attribute is a graph whose node … `depth` times: model.graph 7, graph.node 1,
 * node.attribute 5, attribute.g 6.
 */
export function nestedModel(depth: number): Uint8Array {
  const headers: Uint8Array[] = []; // innermost first
  let byteLength = 0;
  const wrap = (field: number) => {
    const header = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(byteLength).finish();
    headers.push(header);
    byteLength += header.byteLength;
  };
  for (let i = 0; i < depth; i++) [6, 5, 1].forEach(wrap);
  wrap(7);
  return Buffer.concat([new BinaryWriter().tag(1, WireType.Varint).int64(10n).finish(), ...headers.toReversed()]);
}
