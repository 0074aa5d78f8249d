import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ModelProto_SentencePiece_Type as Type,
  ModelProtoSchema,
  TrainerSpec_ModelType,
} from '../proto/sentencepiece_model_pb.ts';

type Init = MessageInitShape<typeof ModelProtoSchema>;

/** A small valid BPE model, and what a test wants to be different about it, as the bytes of a tokenizer.model. */
export function sentencePieceBytes(
  pieces: readonly (readonly [string, number, number?])[],
  rest: Partial<Pick<Init, 'trainerSpec' | 'normalizerSpec'>> = {},
): Uint8Array {
  const all: NonNullable<Init['pieces']> = [
    { piece: '<pad>', score: 0, type: Type.CONTROL },
    { piece: '<eos>', score: 0, type: Type.CONTROL },
    { piece: '<bos>', score: 0, type: Type.CONTROL },
    { piece: '<unk>', score: 0, type: Type.UNKNOWN },
    ...pieces.map(([piece, score, type]) => ({ piece, score, type: (type ?? Type.NORMAL) as Type })),
  ];
  const message: Init = {
    pieces: all,
    trainerSpec: {
      modelType: TrainerSpec_ModelType.BPE,
      vocabSize: all.length,
      unkId: 3,
      bosId: 2,
      eosId: 1,
      padId: 0,
      ...rest.trainerSpec,
    },
    normalizerSpec: { name: 'identity', addDummyPrefix: false, removeExtraWhitespaces: false, ...rest.normalizerSpec },
  };
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, message));
}

/** The 256 pieces of byte_fallback. */
export const BYTE_PIECES = Array.from(
  { length: 256 },
  (_, byte) => [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, 0, Type.BYTE] as const,
);
