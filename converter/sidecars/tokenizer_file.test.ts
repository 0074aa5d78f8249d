import { readFileSync } from 'node:fs';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { ModelProtoSchema } from '../text/proto/sentencepiece_model_pb.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
import type { JsonFields } from './sidecar.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { sidecarOf } from './testing/sidecar_of.ts';
import { tokenizerFile } from './tokenizer_file.ts';
import { tokenizerSource, type ParsedTokenizer } from './tokenizer_source.ts';

const shapes = readFileSync(new URL('../../fixtures/shapes/hf/tokenizer.json', import.meta.url), 'utf8');
const json = JSON.parse(shapes) as ParsedTokenizer;
const TOKENS = { bos: '<bos>', eos: '<eos>', pad: '<pad>', unk: '<unk>' };
const without = (token: string) => json.added_tokens.filter((added) => added.content !== token);

function make(contents: unknown, metadata = SHAPES_METADATA, tokens = TOKENS) {
  const source = tokenizerSource(new Map([['tokenizer.json', sidecarOf(contents, 'dir/tokenizer.json')]]), undefined)!;
  const { value, notes } = tokenizerFile(source, metadata, tokens);
  return { text: value.text, fields: JSON.parse(value.text) as ParsedTokenizer, notes };
}

const addsBos = {
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: '<bos>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [],
  special_tokens: { '<bos>': { id: '<bos>', ids: [2], tokens: ['<bos>'] } },
};

describe('the post-processor adds nothing', () => {
  test.each([
    ['a template', addsBos, '<bos>'],
    ['a sequence', { type: 'Sequence', processors: [{ type: 'ByteLevel' }, addsBos] }, '<bos>'],
    ['BERT’s', { type: 'BertProcessing', cls: ['<bos>', 2], sep: ['<eos>', 1] }, '<bos> and <eos>'],
  ])('%s is replaced', (_, processor, names) => {
    expect(loadTokenizer({ ...json, post_processor: processor }).encode('detect')).toEqual([307]);
    const { fields, notes } = make({ ...json, post_processor: processor });
    expect(fields.post_processor).toEqual(json['post_processor']);
    expect(notes).toEqual([
      `tokenizer.json: its post-processor added ${names} to every text; it adds nothing now, as the processor writes <bos> after the image tokens.`,
    ]);
  });

  test('one that adds nothing is the same as another', () => {
    for (const processor of [null, { type: 'ByteLevel', trim_offsets: false }, { type: 'Sequence', processors: [] }]) {
      const { text, notes } = make({ ...json, post_processor: processor });
      expect(text).toBe(make(json).text);
      expect(notes).toEqual([]);
    }
  });
});

describe('<image>', () => {
  test('is added under the model’s id', () => {
    const { fields, notes } = make({ ...json, added_tokens: without('<image>') });
    expect(fields.added_tokens).toEqual(json.added_tokens);
    expect(notes).toEqual(['tokenizer.json: added <image> with the id 1538.']);
  });

  test('in the vocabulary alone, it becomes an added token', () => {
    const { fields } = make({
      ...json,
      added_tokens: without('<image>'),
      model: { ...json.model, vocab: { ...json.model.vocab, '<image>': 1538 } },
    });
    expect(loadTokenizer(fields).encode('a<image>b')).toEqual([341, 1538, 360]);
  });

  test.each([
    ['another id', json, { imageTokenId: 1600 }, '<image> is token 1538 of the tokenizer, but 1600 of the model'],
    [
      'an id that is taken',
      { ...json, added_tokens: without('<image>') },
      { imageTokenId: 386 },
      '386, the model’s <image>, is its "<loc0000>"',
    ],
    [
      'a shorter vocabulary',
      { ...json, added_tokens: json.added_tokens.slice(0, 6) },
      {},
      'it has 385 tokens, but the model has 1538 before its <image>',
    ],
    [
      'a vocabulary that is one too long for Gemma’s',
      { ...json, added_tokens: json.added_tokens.slice(0, 8) },
      {},
      'it has 387 tokens, but the model has 1538 before its <image>',
    ],
  ])('%s is another model’s tokenizer', (_, contents, change, message) => {
    expect(() => make(contents, { ...SHAPES_METADATA, ...change })).toThrow(
      expect.objectContaining({ code: 'tokenizer_mismatch', message: expect.stringContaining(message) as string }),
    );
  });
});

describe('<bos> and <eos>', () => {
  test('are found in the text under the model’s ids', () => {
    const { fields, notes } = make({ ...json, added_tokens: without('<bos>') });
    expect(loadTokenizer(fields).encode('<bos>detect')).toEqual([2, 307]);
    expect(notes).toEqual(['tokenizer.json: <bos> is found in the text now, as an added token.']);
  });

  test('with other ids, or absent, they are another model’s', () => {
    expect(() => make(json, { ...SHAPES_METADATA, bosTokenId: 5 })).toThrow(/<bos> is its token 2, but 5 of the model/);
    expect(() => make(json, SHAPES_METADATA, { ...TOKENS, eos: '</s>' })).toThrow(/it has no <\/s>/);
  });
});

test('absent parts, which the client demands, are written as null', () => {
  const { normalizer: _, ...rest } = json;
  expect(make(rest).fields['normalizer']).toBeNull();
});

test('a token that the model does not know is left out: asked for, it would be no row of the embedding', () => {
  const extra = { ...json.added_tokens[0]!, id: 1539, content: '<mask>' };
  const { text, notes } = make({
    ...json,
    added_tokens: [...json.added_tokens, extra],
    model: { ...json.model, vocab: { ...json.model.vocab, '<mask>': 1539 } },
  });
  expect(text).toBe(make(json).text);
  expect(notes).toEqual(['tokenizer.json: left out <mask>, with ids beyond the 1538 tokens of the model.']);
});

test('absent <loc> tokens are said where they are not Gemma’s missing ones', () => {
  const noLoc = json.added_tokens.filter((token) => !token.content.startsWith('<loc'));
  expect(make({ ...json, added_tokens: noLoc }).notes).toEqual([expect.stringContaining('no <loc0000>')]);
});

describe('one canonical form', () => {
  const { text } = make(json);
  const modelBytes = readFileSync(new URL('../../fixtures/shapes/tokenizer.model', import.meta.url));
  const fromModel = (bytes: Uint8Array) => {
    const { value, notes } = tokenizerFile(
      tokenizerSource(new Map(), { file: 'x.model', bytes })!,
      SHAPES_METADATA,
      TOKENS,
    );
    return { text: value.text, notes };
  };

  test('of tokenizer.json and tokenizer.model', () => expect(fromModel(modelBytes).text).toBe(text));

  test('of a file that transformers 5 saved', () => {
    const saved = readFileSync(
      new URL('../../fixtures/processors/transformers5/tokenizer.json', import.meta.url),
      'utf8',
    );
    expect(saved).toContain('"<mask>"');
    expect(make(saved).text).toBe(text);
  });

  test('of merges in the older spelling', () => {
    const merges = (json.model['merges'] as string[][]).map((pair) => pair.join(' '));
    expect(make({ ...json, model: { ...json.model, merges } }).text).toBe(text);
  });

  test('of itself', () => expect(make(text)).toMatchObject({ text, notes: [] }));

  test('of Gemma’s tokenizer, without <loc> and <seg>, as tokenizer.json and as tokenizer.model', () => {
    const isPlace = (content: string) => /^<(loc|seg)\d/.test(content);
    const note =
      'tokenizer.json: added the 1152 tokens <loc0000> to <seg127>, which PaliGemma’s vocabulary has after Gemma’s.';
    const gemma = make({
      ...json,
      added_tokens: json.added_tokens.filter((token) => !isPlace(token.content) && token.content !== '<image>'),
    });
    expect(gemma).toMatchObject({ text, notes: [note, 'tokenizer.json: added <image> with the id 1538.'] });
    const proto = fromBinary(ModelProtoSchema, modelBytes);
    proto.pieces = proto.pieces.filter((piece) => !isPlace(piece.piece));
    proto.trainerSpec!.vocabSize = proto.pieces.length;
    expect(proto.pieces).toHaveLength(386);
    const { text: converted, notes } = fromModel(toBinary(ModelProtoSchema, proto));
    expect(converted).toBe(text);
    expect(notes).toContain(note);
  });

  test('gives the ids that Python gave for the file it came from', () => {
    const { texts } = JSON.parse(
      readFileSync(new URL('../../fixtures/tokenizer/shapes.json', import.meta.url), 'utf8'),
    ) as { texts: [string, number[]][] };
    const tokenizer = loadTokenizer(JSON.parse(text) as object);
    for (const [written, ids] of texts) expect(tokenizer.encode(written)).toEqual(ids);
  });
});

describe('damage is refused by name', () => {
  const model = json.model as JsonFields;
  test.each([
    ['bad_tokenizer', 'no model', {}],
    [
      'bad_tokenizer',
      'model.vocab: "an" has the id "x"',
      { ...json, model: { ...model, vocab: { ...json.model.vocab, an: 'x' } } },
    ],
    ['bad_tokenizer', 'model.vocab: expected an object', { ...json, model: { ...model, vocab: null } }],
    ['bad_tokenizer', 'model.merges: expected a list', { ...json, model: { ...model, merges: {} } }],
    ['bad_tokenizer', 'model.merges: entry 1 is "a b"', { ...json, model: { ...model, merges: [['a', 'n'], 'a b'] } }],
    ['bad_tokenizer', 'added_tokens: expected a list', { ...json, added_tokens: 7 }],
    [
      'bad_tokenizer',
      'added_tokens: entry 0 is {"id":1.5,"content":"x"}',
      { ...json, added_tokens: [{ id: 1.5, content: 'x' }] },
    ],
    ['unsupported_tokenizer', 'type "Unigram"', { ...json, model: { type: 'Unigram', vocab: [] } }],
    ['bad_sidecar', 'found the end of the text', shapes.slice(0, 1001)],
    ['unknown_tokenizer', 'neither a tokenizer.json nor a SentencePiece model', 'words'],
    ['unknown_tokenizer', 'the file is empty', ''],
  ])('%s: %s', (code, message, contents) => {
    expect(() => make(contents)).toThrow(
      expect.objectContaining({
        code,
        message: expect.stringContaining(message) as string,
        place: expect.objectContaining({ file: 'dir/tokenizer.json', hint: expect.any(String) as string }) as object,
      }),
    );
  });
});

test('what the file is, its bytes tell, not its name', () => {
  const model = {
    file: 'dir/tokenizer.json',
    bytes: readFileSync(new URL('../../fixtures/shapes/tokenizer.model', import.meta.url)),
  };
  expect(tokenizerSource(new Map(), model)).toMatchObject({
    kind: 'SentencePiece',
    json: { added_tokens: { length: 1159 } },
  });
  expect(tokenizerSource(new Map(), sidecarOf(`\n \t${shapes}`, 'x.model'))!.kind).toBe('tokenizer.json');
});
