import type { DType } from '../../ir/dtypes/index.ts';
import { dtypeOfElementType } from './dtype.ts';
import { STAGE_KEY } from './encode.ts';
import type { GraphProto, ModelProto } from './proto/onnx_pb.ts';

/** Dtypes of a model's inputs by name. @throws BackendError for one that the IR does not have */
export function inputDtypesOf({ graph }: { readonly graph: GraphProto }): Readonly<Record<string, DType>> {
  return Object.fromEntries(
    graph.input.flatMap(({ name, type }) =>
      type?.value.case === 'tensorType' ? [[name, dtypeOfElementType(type.value.value.elemType, name)] as const] : [],
    ),
  );
}

/** The tensor that holds each stage of a model, by the name of the stage. */
export function stageTensorsOf({ metadataProps }: Pick<ModelProto, 'metadataProps'>): ReadonlyMap<string, string> {
  return new Map(
    metadataProps
      .filter(({ key }) => key.startsWith(STAGE_KEY))
      .map(({ key, value }) => [key.slice(STAGE_KEY.length), value]),
  );
}
