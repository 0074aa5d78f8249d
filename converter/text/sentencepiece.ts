import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { BadInputError } from '../errors.ts';
import {
  ModelProto_SentencePiece_Type,
  ModelProtoSchema,
  TrainerSpec_ModelType,
  type ModelProto,
  type NormalizerSpec,
  type TrainerSpec,
} from './proto/sentencepiece_model_pb.ts';

export type PieceKind = 'normal' | 'unknown' | 'control' | 'user_defined' | 'byte';

/** One entry of the vocabulary: its id is its index. */
export interface Piece {
  readonly text: string;
  readonly score: number;
  readonly kind: PieceKind;
}

/** A SentencePiece BPE model without text normalisation, as Gemma's and PaliGemma's are. */
export interface SentencePieceModel {
  /** For messages. */
  readonly file: string;
  readonly pieces: readonly Piece[];
  /** Characters without a piece become their UTF-8 bytes. */
  readonly byteFallback: boolean;
  readonly unknownPiece: string;
}

/** Gemma's has 256,000 pieces and 4 MB. */
const MAX_BYTES = 256 * 1024 * 1024;
const TAKE_PALIGEMMA = 'take the tokenizer.model of the model itself (PaliGemma’s is paligemma_tokenizer.model)';

/**
 * Reads a `tokenizer.model` and refuses what tokenizer.json could not express exactly.
 * @throws BadInputError naming the damage (with the byte offset) or the setting.
 */
export function readSentencePiece(bytes: Uint8Array, file: string): SentencePieceModel {
  const proto = parse(bytes, file);
  const trainer = proto.trainerSpec;
  if (!trainer) throw damaged('the file ends before the trainer settings', file, bytes.length);
  checkTrainer(trainer, proto.pieces.length, file);
  checkNormalizer(proto.normalizerSpec, file);
  const pieces = proto.pieces.map((piece, id): Piece => ({
    text: piece.piece,
    score: piece.score,
    kind: kindOf(piece.type, piece.piece, id, file),
  }));
  checkPieces(pieces, trainer, file);
  return {
    file,
    pieces,
    byteFallback: trainer.byteFallback,
    unknownPiece: pieces.find((piece) => piece.kind === 'unknown')!.text,
  };
}

function parse(bytes: Uint8Array, file: string): ModelProto {
  if (bytes.length > MAX_BYTES)
    throw new BadInputError('tokenizer_too_large', `a tokenizer.model of ${bytes.length} bytes`, {
      file,
      hint: TAKE_PALIGEMMA,
    });
  // A walk over the fields of the message first: the runtime's own errors have no byte offset.
  const reader = new BinaryReader(bytes);
  for (let offset = 0; offset < bytes.length; offset = reader.pos) {
    try {
      const [field, wireType] = reader.tag();
      reader.skip(wireType, field);
    } catch (cause) {
      throw damaged('a field is cut off or malformed', file, offset, cause);
    }
    if (reader.pos > bytes.length) throw damaged('the file ends inside a field', file, offset);
  }
  try {
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw damaged('a field is malformed', file, undefined, cause);
  }
}

function checkTrainer(trainer: TrainerSpec, count: number, file: string): void {
  if (trainer.modelType !== TrainerSpec_ModelType.BPE) {
    const name =
      Object.entries(TrainerSpec_ModelType).find(([, value]) => value === trainer.modelType)?.[0] ??
      String(trainer.modelType);
    throw unsupported(
      `a SentencePiece model of type ${name.toLowerCase()}: only bpe is supported, as PaliGemma’s is`,
      file,
    );
  }
  if (trainer.treatWhitespaceAsSuffix) throw unsupported('a SentencePiece model with treat_whitespace_as_suffix', file);
  // Only fewer pieces than promised are damage: PaliGemma's were added after training.
  if (trainer.hardVocabLimit && count < trainer.vocabSize)
    throw new BadInputError(
      'tokenizer_truncated',
      `the model has ${count} pieces, its own settings say ${trainer.vocabSize}`,
      { file, hint: 'download the file again' },
    );
}

function checkNormalizer(spec: NormalizerSpec | undefined, file: string): void {
  // An absent message has the defaults of its fields.
  if (spec?.addDummyPrefix ?? true) throw unsupported('a SentencePiece model with add_dummy_prefix', file);
  if (spec?.removeExtraWhitespaces ?? true)
    throw unsupported('a SentencePiece model with remove_extra_whitespaces', file);
  if (spec && !spec.escapeWhitespaces) throw unsupported('a SentencePiece model without escape_whitespaces', file);
  if (spec && spec.precompiledCharsmap.length > 0)
    throw unsupported(`a SentencePiece model that normalises text (${spec.name})`, file);
}

const KINDS: Readonly<Record<number, PieceKind>> = {
  [ModelProto_SentencePiece_Type.NORMAL]: 'normal',
  [ModelProto_SentencePiece_Type.UNKNOWN]: 'unknown',
  [ModelProto_SentencePiece_Type.CONTROL]: 'control',
  [ModelProto_SentencePiece_Type.USER_DEFINED]: 'user_defined',
  [ModelProto_SentencePiece_Type.BYTE]: 'byte',
};

function kindOf(type: ModelProto_SentencePiece_Type, text: string, id: number, file: string): PieceKind {
  const kind = KINDS[type];
  if (kind) return kind;
  // UNUSED pieces are merged into and split again: tokenizer.json has no such thing.
  throw unsupported(
    `piece ${id} (${JSON.stringify(text)}) of type ${type === ModelProto_SentencePiece_Type.UNUSED ? 'unused' : type}`,
    file,
  );
}

function checkPieces(pieces: readonly Piece[], trainer: TrainerSpec, file: string): void {
  const ids = new Map<string, number>();
  for (const [id, { text, score }] of pieces.entries()) {
    if (text === '') throw damaged(`piece ${id} is empty`, file);
    if (!Number.isFinite(score)) throw damaged(`piece ${id} (${JSON.stringify(text)}) has the score ${score}`, file);
    const first = ids.get(text);
    if (first !== undefined) throw damaged(`pieces ${first} and ${id} are both ${JSON.stringify(text)}`, file);
    ids.set(text, id);
  }
  const unknown = pieces.filter((piece) => piece.kind === 'unknown').length;
  if (unknown !== 1) throw damaged(`the model has ${unknown} unknown pieces: exactly one expected`, file);
  const byteCount = pieces.filter((piece) => piece.kind === 'byte').length;
  const misnamed = pieces.find(({ text, kind }) => kind === 'byte' && !/^<0x[0-9A-F]{2}>$/.test(text));
  if (misnamed) throw damaged(`byte piece ${JSON.stringify(misnamed.text)}: expected a name like <0x0A>`, file);
  if (trainer.byteFallback && byteCount !== 256)
    throw damaged(`byte_fallback with ${byteCount} byte pieces: 256 expected`, file);
}

function damaged(message: string, file: string, offset?: number, cause?: unknown): BadInputError {
  return new BadInputError(
    'bad_tokenizer_model',
    `the SentencePiece model is damaged: ${message}`,
    { file, ...(offset !== undefined && { offset }), hint: 'download tokenizer.model again' },
    cause === undefined ? undefined : { cause },
  );
}

function unsupported(what: string, file: string): BadInputError {
  return new BadInputError('unsupported_tokenizer', what, { file, hint: `${TAKE_PALIGEMMA}, or a tokenizer.json` });
}
