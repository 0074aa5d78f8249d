import { readFileSync } from 'node:fs';
import { create, toBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BadInputError } from '../errors.ts';
import {
  ModelProto_SentencePiece_Type as Type,
  ModelProtoSchema,
  TrainerSpec_ModelType,
} from './proto/sentencepiece_model_pb.ts';
import { readSentencePiece } from './sentencepiece.ts';
import { BYTE_PIECES, sentencePieceBytes } from './testing/sentencepiece_bytes.ts';

const shapes = readFileSync(new URL('../../fixtures/shapes/tokenizer.model', import.meta.url));

function refusal(bytes: Uint8Array): BadInputError {
  try {
    readSentencePiece(bytes, 'dir/tokenizer.model');
  } catch (error) {
    if (error instanceof BadInputError) return error;
    throw error;
  }
  throw new Error('it was read');
}

function outcomeOf(bytes: Uint8Array): string {
  try {
    readSentencePiece(bytes, 'x');
    return 'read';
  } catch (error) {
    return (error as Error).name;
  }
}

test('reads the shapes model', () => {
  const model = readSentencePiece(shapes, 'tokenizer.model');
  expect(model.pieces).toHaveLength(1538);
  expect(model).toMatchObject({ byteFallback: true, unknownPiece: '<unk>' });
  expect([0, 3, 4, 14, 261, 386].map((id) => model.pieces[id])).toEqual([
    { text: '<pad>', score: 0, kind: 'control' },
    { text: '<unk>', score: 0, kind: 'unknown' },
    { text: '\n', score: 0, kind: 'user_defined' },
    { text: '<0x09>', score: 0, kind: 'byte' },
    { text: 'an', score: -0, kind: 'normal' },
    { text: '<loc0000>', score: 0, kind: 'user_defined' },
  ]);
});

describe('refuses by name', () => {
  test.each([
    ['unigram', TrainerSpec_ModelType.UNIGRAM],
    ['word', TrainerSpec_ModelType.WORD],
    ['char', TrainerSpec_ModelType.CHAR],
  ])('type %s', (name, modelType) => {
    const error = refusal(sentencePieceBytes([['a', 0]], { trainerSpec: { modelType } }));
    expect(error.code).toBe('unsupported_tokenizer');
    expect(error.message).toContain(`type ${name}`);
    expect(error.place.hint).toContain('tokenizer.model');
  });

  test.each([
    ['add_dummy_prefix', sentencePieceBytes([['a', 0]], { normalizerSpec: { addDummyPrefix: true } })],
    ['remove_extra_whitespaces', sentencePieceBytes([['a', 0]], { normalizerSpec: { removeExtraWhitespaces: true } })],
    ['escape_whitespaces', sentencePieceBytes([['a', 0]], { normalizerSpec: { escapeWhitespaces: false } })],
    [
      'nmt_nfkc',
      sentencePieceBytes([['a', 0]], { normalizerSpec: { name: 'nmt_nfkc', precompiledCharsmap: Uint8Array.of(1) } }),
    ],
    ['treat_whitespace_as_suffix', sentencePieceBytes([['a', 0]], { trainerSpec: { treatWhitespaceAsSuffix: true } })],
    ['piece 4 ("a") of type unused', sentencePieceBytes([['a', 0, Type.UNUSED]])],
  ])('%s', (what, bytes) => {
    const error = refusal(bytes);
    expect(error.code).toBe('unsupported_tokenizer');
    expect(error.message).toContain(what);
  });

  test.each([
    ['is empty', sentencePieceBytes([['', 0]])],
    [
      'pieces 4 and 5 are both "a"',
      sentencePieceBytes([
        ['a', 0],
        ['a', -1],
      ]),
    ],
    ['score NaN', sentencePieceBytes([['a', Number.NaN]])],
    ['score -Infinity', sentencePieceBytes([['a', -Infinity]])],
    ['2 unknown pieces', sentencePieceBytes([['a', 0, Type.UNKNOWN]])],
    ['255 byte pieces', sentencePieceBytes(BYTE_PIECES.slice(1), { trainerSpec: { byteFallback: true } })],
    ['expected a name like <0x0A>', sentencePieceBytes([['<0xgg>', 0, Type.BYTE]])],
    [
      'before the trainer settings',
      toBinary(ModelProtoSchema, create(ModelProtoSchema, { pieces: [{ piece: 'a', score: 0 }] })),
    ],
    ['before the trainer settings', new Uint8Array()],
  ])('damage: %s', (what, bytes) => {
    const error = refusal(bytes);
    expect(error.code).toBe('bad_tokenizer_model');
    expect(error.message).toContain(what);
  });

  test('fewer pieces than the model promises', () =>
    expect(refusal(sentencePieceBytes([['a', 0]], { trainerSpec: { vocabSize: 9 } })).message).toBe(
      'the model has 5 pieces, its own settings say 9',
    ));
});

describe('a truncated file', () => {
  test('is refused wherever the pieces are cut', () => {
    const end = shapes.length - 100; // the settings at the end have optional fields
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: end }),
        (length) => void expect(refusal(shapes.subarray(0, length)).place.file).toBe('dir/tokenizer.model'),
      ),
    );
  });

  test('names the offset of the field that is cut', () => {
    expect(refusal(shapes.subarray(0, 20)).place.offset).toBe(16);
  });

  test('other bytes are refused with their offset', () => {
    const error = refusal(new TextEncoder().encode('not a model at all'));
    expect(error.code).toBe('bad_tokenizer_model');
    expect(error.place.offset).toBeTypeOf('number');
  });

  test('random damage gives a typed error or a model, never a crash', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(shapes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (edits) => {
          const bytes = Uint8Array.from(shapes);
          for (const [at, byte] of edits) bytes[at] = byte;
          expect(outcomeOf(bytes)).toMatch(/^(read|BadInputError)$/);
        },
      ),
      { numRuns: 200 },
    );
  });
});
