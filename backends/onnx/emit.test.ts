import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { onnx } from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import { sym } from '../../ir/dim.ts';
import type { Program } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { castFloats, runPassesOnProgram } from '../../ir/passes/index.ts';
import { bytesData, readBytes, tensorOf } from '../../ir/tensor.ts';
import { transposeData } from '../../ir/views/transpose.ts';
import { BackendError } from '../error.ts';
import { emit } from './emit.ts';
import { lowerGraph } from './lower.ts';
import { emittedBundle, fileBytes } from './testing/emitted_bundle.ts';
import { programOf, randomWeight, tinyProgram } from '../testing/tiny_program.ts';

const fp16 = (program: Program) => runPassesOnProgram(program, [castFloats({ to: 'f16' })]);
const DECODER = 'onnx/decoder_model_merged.onnx';

/** Decodes with protobufjs and a schema of 2021, which share nothing with the writer. */
async function decoded(program: Program, path: string, precision = 'fp32') {
  const artifact = emit(program, { precision });
  const model = onnx.ModelProto.decode(await fileBytes(artifact, path));
  return { artifact, model, graph: model.graph! };
}

const dimsOf = (info: onnx.IValueInfoProto) =>
  info.type!.tensorType!.shape!.dim!.map((d) => d.dimParam || Number(d.dimValue));

describe('an emitted model, read by another library', () => {
  it('has the ports of the program, with symbols spelled as transformers.js wants them', async () => {
    const { model, graph } = await decoded(tinyProgram(), DECODER);
    expect([Number(model.irVersion), Number(model.opsetImport[0]!.version), model.producerName]).toEqual([
      10,
      23,
      'pgconv',
    ]);
    expect(graph.input!.map((i) => [i.name, i.type!.tensorType!.elemType, dimsOf(i)])).toEqual([
      ['inputs_embeds', 1, ['batch_size', 'seq', 16]],
      ['attention_mask', 7, ['batch_size', 'past + seq']],
      ['position_ids', 7, ['batch_size', 'seq']],
      ['num_logits_to_keep', 7, []],
      ...[0, 1].flatMap((i) =>
        ['key', 'value'].map((kind) => [`past_key_values.${i}.${kind}`, 1, ['batch_size', 1, 'past', 8]]),
      ),
    ]);
    expect(graph.output!.map((o) => [o.name, dimsOf(o)])).toEqual([
      ['logits', ['batch_size', 'kept', 24]],
      ...[0, 1].flatMap((i) =>
        ['key', 'value'].map((kind) => [`present.${i}.${kind}`, ['batch_size', 1, 'past + seq', 8]]),
      ),
    ]);
  });

  it.each(['fp32', 'fp16'])(
    'is well formed in %s: each tensor defined once and before its use, types known',
    async (precision) => {
      const program = precision === 'fp16' ? fp16(tinyProgram()) : tinyProgram();
      for (const { path } of emit(program, { precision }).files.filter((f) => f.path.endsWith('.onnx'))) {
        const { graph } = await decoded(program, path, precision);
        const defined = new Set<string>();
        const define = (name: string) => {
          expect(defined, path).not.toContain(name);
          defined.add(name);
        };
        for (const { name } of [...graph.input!, ...graph.initializer!]) define(name!);
        for (const node of graph.node!) {
          for (const input of node.input!) expect([...defined], `${path} ${node.name}`).toContain(input);
          node.output!.forEach(define);
          for (const attribute of node.attribute!)
            expect(attribute.type, `${node.name} ${attribute.name}`).toBeGreaterThan(0);
        }
        for (const { name } of graph.output!) expect([...defined]).toContain(name);
        expect(new Set(graph.node!.map((n) => n.name)).size).toBe(graph.node!.length);
      }
    },
  );

  it('uses the native op of each composite but attention', async () => {
    const { graph } = await decoded(tinyProgram(), DECODER);
    const counts = (op: string) => graph.node!.filter((n) => n.opType === op).length;
    expect(
      Object.fromEntries(
        ['RMSNormalization', 'RotaryEmbedding', 'Gelu', 'Softmax', 'Tanh', 'Erf', 'Pow', 'Attention'].map((op) => [
          op,
          counts(op),
        ]),
      ),
    ).toEqual({
      RMSNormalization: 2,
      RotaryEmbedding: 4,
      Gelu: 2,
      Softmax: 2,
      Tanh: 1,
      Erf: 0,
      Pow: 0,
      Attention: 0,
    });
  });

  it('names the tensor of each stage, with its type', async () => {
    const { model, graph } = await decoded(tinyProgram(), DECODER);
    const stages = Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value!]));
    expect(Object.keys(stages)).toEqual([
      'pgconv.graph',
      'pgconv.stage.lm.0',
      'pgconv.stage.lm.1',
      'pgconv.stage.lm.2',
    ]);
    expect(stages['pgconv.stage.lm.0']).toBe('inputs_embeds');
    expect(graph.valueInfo!.map((i) => [i.name, dimsOf(i)])).toEqual(
      ['lm.1', 'lm.2'].map((stage) => [stages[`pgconv.stage.${stage}`], ['batch_size', 'seq', 16]]),
    );
  });

  it('finds every weight’s bytes where the model says', async () => {
    const { artifact, graph } = await decoded(tinyProgram(), DECODER);
    const data = await fileBytes(artifact, `${DECODER}_data`);
    const weights = new Map(graph.initializer!.map((t) => [t.name!, t]));
    const expectBytes = async (name: string, expected: ReturnType<typeof randomWeight>) => {
      const tensor = weights.get(name)!;
      const entries = Object.fromEntries(tensor.externalData!.map(({ key, value }) => [key, value!]));
      const bytes =
        tensor.externalData!.length > 0
          ? data.subarray(Number(entries['offset']), Number(entries['offset']) + Number(entries['length']))
          : tensor.rawData!;
      expect(entries['location'] ?? 'decoder_model_merged.onnx_data').toBe('decoder_model_merged.onnx_data');
      expect(tensor.dims!.map(Number)).toEqual(expected.shape);
      expect(Buffer.from(bytes), name).toEqual(Buffer.from(await readBytes(expected)));
    };
    await expectBytes('lm.0.norm', randomWeight('lm.0.norm', [16])); // 64 bytes: inside the model
    await expectBytes('lm.0.q.transposed', transposeData(randomWeight('lm.0.q', [32, 16]), [1, 0]));
    expect(weights.get('lm.0.norm')!.externalData).toHaveLength(0);
    expect(weights.get('lm.0.q.transposed')!.externalData).toHaveLength(3);
  });
});

// An addition where Python happens to have it, never a requirement: elsewhere it is absent from the count and says so.
const python = spawnSync('python3', ['-c', 'import onnx'], { encoding: 'utf8' });
if (python.status !== 0) console.info('not run: onnx.checker, since python3 has no package onnx');
else
  describe('onnx.checker of the Python package', () => {
    it.each(['fp32', 'fp16'])('accepts every graph in %s, shapes inferred', async (precision) => {
      await using bundle = await emittedBundle(precision === 'fp16' ? fp16(tinyProgram()) : tinyProgram(), precision);
      for (const { path } of bundle.artifact.files.filter((f) => f.path.endsWith('.onnx'))) {
        const script = 'import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)';
        const { status, stderr } = spawnSync('python3', ['-c', script, join(bundle.dir, path)], { encoding: 'utf8' });
        expect(stderr, path).toBe('');
        expect(status).toBe(0);
      }
    });
  });

describe('an artifact', () => {
  it('has a file for each graph and its data, each as long as it says', async () => {
    const artifact = emit(tinyProgram(), { precision: 'fp16' });
    const files = ['vision_encoder_fp16', 'embed_tokens_fp16', 'decoder_model_merged_fp16'].flatMap((name) => [
      `onnx/${name}.onnx`,
      `onnx/${name}.onnx_data`,
    ]);
    expect(artifact.files.map((f) => f.path)).toEqual(files);
    for (const path of files) await fileBytes(artifact, path); // compares the sizes
  });

  it('is the same bytes each time', async () => {
    const all = async () => {
      const artifact = emit(tinyProgram(), { precision: 'fp32' });
      return Promise.all(
        artifact.files.map(async ({ path }) => Buffer.from(await fileBytes(artifact, path)).toString('base64')),
      );
    };
    expect(await all()).toEqual(await all());
  });

  it('reads no weight before its chunks are asked for, and names each chunk’s tensor', async () => {
    const b = new GraphBuilder('embed_tokens');
    const reads: string[] = [];
    const spied = (name: string, shape: readonly number[]) => {
      const data = randomWeight(name, shape);
      return {
        ...data,
        chunks: (options?: Parameters<typeof data.chunks>[0]) => (reads.push(name), data.chunks(options)),
      };
    };
    const rows = b.op(
      ops.gather,
      [b.weight('large', spied('large', [64, 16])), b.input('ids', { dtype: 'i64', shape: [sym('seq')] })],
      {},
    );
    b.output('y', b.op(ops.add, [rows, b.weight('small', spied('small', [16]))], {}));
    const artifact = emit(programOf(b.build()), { precision: 'fp32' });
    expect(reads).toEqual([]);
    const tensors: string[] = [];
    for (const file of artifact.files)
      for await (const { tensor } of file.chunks())
        if (tensor) tensors.push(`${file.path} ${tensor.name} ${tensor.dtype}`);
    expect(tensors).toEqual(['onnx/embed_tokens.onnx small f32', 'onnx/embed_tokens.onnx_data large f32']);
    expect(reads).toEqual(['small', 'large']);
  });

  it('stores a weight once that appears twice, also transposed', () => {
    const b = new GraphBuilder('decoder');
    const data = randomWeight('tied', [32, 32]);
    const x = b.input('x', { dtype: 'f32', shape: [sym('batch_size'), 32] });
    const [first, second] = [b.weight('first', data), b.weight('second', data)];
    b.output(
      'y',
      b.op(ops.add, [b.op(ops.linear, [x, first], {}), b.op(ops.linear, [b.op(ops.tanh, [x], {}), second], {})], {}),
    );
    b.output('z', b.op(ops.matmul, [b.op(ops.matmul, [x, first], {}), second], {}));
    expect(lowerGraph(b.build()).initializers.map((i) => i.name)).toEqual(['first.transposed', 'first']);
  });

  it('keeps large literals outside of the model file, small ones inside', () => {
    const b = new GraphBuilder('decoder');
    const x = b.input('x', { dtype: 'f32', shape: [sym('batch_size'), 300] });
    const large = b.literalTensor(
      tensorOf(
        'f32',
        [300],
        Array.from({ length: 300 }, (_, i) => i),
      ),
      'table',
    );
    b.output('y', b.op(ops.mul, [b.op(ops.add, [x, large], {}), b.literal('f32', [], [2])], {}));
    expect(lowerGraph(b.build()).initializers.map(({ kind, name }) => [kind, name])).toEqual([
      ['weight', 'table'],
      ['literal', 'c'],
    ]);
  });

  it('gives colliding names a number and an output that is an input or a constant a node of its own', async () => {
    const b = new GraphBuilder('decoder');
    const x = b.input('x', { dtype: 'f32', shape: [2] });
    const y = b.op(ops.tanh, [x], {});
    const inner = b.node(ops.sqrt, [y], {}, ['result'])[0]!;
    b.output('result', y); // the name of another value
    b.output('again', y);
    b.output('other', inner);
    b.output('same', x);
    b.output('constant', b.literal('f32', [1], [3]));
    const graph = lowerGraph(b.build());
    expect(graph.nodes.map(({ opType, inputs, outputs }) => `${opType} ${inputs.join()} -> ${outputs.join()}`)).toEqual(
      [
        'Tanh x -> result',
        'Sqrt result -> other',
        'Identity result -> again',
        'Identity x -> same',
        'Identity c -> constant',
      ],
    );
  });
});

describe('what ONNX cannot express', () => {
  it('bf16: no provider of the portable target computes it', () => {
    const program = runPassesOnProgram(tinyProgram(), [castFloats({ to: 'bf16' })]);
    expect(() => emit(program, { precision: 'fp16' })).toThrow(BackendError);
    expect(() => emit(program, { precision: 'fp16' })).toThrow(/bf16/);
  });

  it('a precision without a file name', () => expect(() => emit(tinyProgram(), { precision: 'bf8' })).toThrow(/"bf8"/));

  it('two ports of one name', () => {
    const b = new GraphBuilder('decoder');
    const x = b.input('x', { dtype: 'f32', shape: [2] });
    b.output('x', b.op(ops.tanh, [x], {}));
    expect(() => emit(programOf(b.build()), { precision: 'fp32' })).toThrow(BackendError);
  });

  it('a weight that gives too few bytes', async () => {
    const b = new GraphBuilder('decoder');
    const short = {
      ...bytesData('f32', [4], new Uint8Array(16)),
      async *chunks() {
        yield new Uint8Array(12);
      },
    };
    b.output('y', b.op(ops.add, [b.input('x', { dtype: 'f32', shape: [4] }), b.weight('short', short)], {}));
    const failure = await fileBytes(emit(programOf(b.build()), { precision: 'fp32' }), DECODER).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      name: 'BackendError',
      code: 'bad-input',
      place: { tensor: 'short', file: DECODER },
    });
  });
});
