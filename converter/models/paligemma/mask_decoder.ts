import { GraphBuilder } from '../../../ir/builder.ts';
import { sym } from '../../../ir/dim.ts';
import { isFloat } from '../../../ir/dtypes/index.ts';
import type { Graph, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { BadInputError } from '../../errors.ts';
import type { Fate, LedgerEntry } from '../ledger/ledger.ts';
import { maskDecoderName } from '../mask_decoder_files.ts';
import { weightsOf, type CanonicalWeights } from './weights.ts';

/*
 * The decoder of the masks that PaliGemma writes as 16 `<segNNN>`: a VQ-VAE's (arXiv:1711.00937) that big_vision
 * publishes as vae-oid.npz (pp/proj/paligemma/segmentation.py), with the names and layouts of PyTorch.
 */

/** Codes of a mask, a row-major 4 × 4. */
export const MASK_CODES = 16;
/** Where big_vision publishes it (`KNOWN_MODELS` of its segmentation.py). */
export const VAE_ADDRESS = 'https://storage.googleapis.com/big_vision/paligemma/vae-oid.npz';
const VAE_HINT = `give vae-oid.npz as big_vision publishes it: ${VAE_ADDRESS}`;

/** Edge of a mask. */
export const MASK_SIZE = 64;
const SIDE = 4;
const WIDTH = 128;
const CODE_WIDTH = 512;
/** Channels behind each transposed convolution, which doubles the sides. */
const WIDTHS = [128, 64, 32, 16] as const;
/** Numbers that the file gives them, in order: what lies between are activations. */
const UPSAMPLING = [4, 6, 8, 10] as const;
const RESIDUAL = [2, 3] as const;

interface Layer {
  /** In the file, and of the weight. */
  readonly key: string;
  readonly name: string;
  readonly shape: readonly number[];
}

/** A convolution's kernel and bias. */
function layer(key: string, name: string, shape: readonly [number, number, number, number], out: number): Layer[] {
  return [
    { key: `${key}.weight`, name: `${name}.w`, shape },
    { key: `${key}.bias`, name: `${name}.b`, shape: [out] },
  ];
}

/** Everything that the decoder has. */
const LAYERS: readonly Layer[] = [
  { key: '_vq_vae._embedding', name: 'mask.codes', shape: [WIDTH, CODE_WIDTH] },
  ...layer('decoder.0', 'mask.in', [WIDTH, CODE_WIDTH, 1, 1], WIDTH),
  ...RESIDUAL.flatMap((number, block) =>
    [3, 3, 1].flatMap((window, i) =>
      layer(`decoder.${number}.net.${2 * i}`, `mask.${block}.${i}`, [WIDTH, WIDTH, window, window], WIDTH),
    ),
  ),
  ...UPSAMPLING.flatMap((number, i) => {
    const [from, to] = [WIDTHS[i - 1] ?? WIDTH, WIDTHS[i]!];
    return layer(`decoder.${number}`, `mask.up.${i}`, [from, to, 4, 4], to);
  }),
  ...layer('decoder.12', 'mask.out', [1, WIDTHS.at(-1)!, 1, 1], 1),
];

/** What lies beside the decoder in the published file: what training made codes with. */
const ENCODER = /^(?:encoder|_vq_vae)\./;

/** The decoder's weights, and what became of everything in its file. */
export interface MaskDecoder {
  readonly weights: CanonicalWeights;
  readonly ledger: readonly LedgerEntry[];
}

/**
 * Reads the decoder out of vae-oid.npz: names and shapes alone.
 * @throws BadInputError naming the array that is missing, of another shape or dtype, or of no part that is known
 */
export function readMaskDecoder(file: Checkpoint): MaskDecoder {
  const { tensors, files, path } = file;
  const weights = new Map<string, TensorData>();
  for (const { key, name, shape } of LAYERS) {
    const data = tensors.get(key);
    if (!data)
      throw new BadInputError('missing_tensor', `the mask decoder has no "${key}"`, {
        file: path,
        tensor: key,
        hint: VAE_HINT,
      });
    if (data.shape.join() !== shape.join() || !isFloat(data.dtype))
      throw new BadInputError(
        'shape_mismatch',
        `"${key}" is ${data.dtype} [${data.shape.join(', ')}] where a mask decoder has floats [${shape.join(', ')}]`,
        { file: path, tensor: key, ...(data.from && { offset: data.from.byteOffset }), hint: VAE_HINT },
      );
    weights.set(name, data);
  }
  return { weights, ledger: ledgerOf(file, maskDecoderName(file, files[0]!)) };
}

function ledgerOf(
  { tensors, beside = new Map(), path }: Pick<Checkpoint, 'tensors' | 'beside' | 'path'>,
  file: string,
): readonly LedgerEntry[] {
  const used = new Map(LAYERS.map(({ key, name }) => [key, name]));
  const names = [...tensors.keys(), ...beside.keys()];
  const unknown = new Map(
    names.filter((name) => !used.has(name) && !ENCODER.test(name)).map((name) => [name, tensors.get(name)]),
  );
  const [stray] = unknown;
  if (stray)
    throw new BadInputError('unaccounted', `"${stray[0]}" is nothing that a mask decoder has, and of no encoder`, {
      file: path,
      tensor: stray[0],
      hint: VAE_HINT,
    });
  return names.map((tensor) => {
    const name = used.get(tensor);
    const fate: Fate = name === undefined ? { leftOut: 'mask_encoder' } : { used: [name] };
    return { file, tensor, ...fate };
  });
}

/** codes i32[objects, 16] of 0 to 127, to masks f32[objects, 64, 64], raw: about -1 to 1, above 0 where the mask is. */
export function maskDecoder({ weights }: Pick<MaskDecoder, 'weights'>): Graph {
  const b = new GraphBuilder('mask_decoder');
  const w = weightsOf(b, weights);
  const objects = sym('objects');
  const codes = b.input('codes', { dtype: 'i32', shape: [objects, MASK_CODES] });
  const found = b.op(ops.gather, [w('mask.codes'), codes], {});
  b.stage('mask.codes', found);
  const rows = b.op(ops.reshape, [found], { shape: [objects, SIDE, SIDE, CODE_WIDTH] });
  const conv = (x: Value, name: string, zeros = 0) =>
    b.op(ops.conv2d, [x, w(`${name}.w`), w(`${name}.b`)], { strides: [1, 1], padding: [zeros, zeros] });
  const relu = (x: Value) => b.op(ops.relu, [x], {});
  let x = relu(conv(b.op(ops.transpose, [rows], { perm: [0, 3, 1, 2] }), 'mask.in'));
  b.stage('mask.in', x);
  for (const block of RESIDUAL.keys()) {
    x = b.within(`mask.${block}`, () => {
      const inner = relu(conv(relu(conv(x, `mask.${block}.0`, 1)), `mask.${block}.1`, 1));
      return b.op(ops.add, [x, conv(inner, `mask.${block}.2`)], {});
    });
    b.stage(`mask.${block}`, x);
  }
  for (const i of UPSAMPLING.keys()) {
    const weight = `mask.up.${i}`;
    const twice = { strides: [2, 2], padding: [1, 1] };
    x = relu(b.op(ops.conv_transpose2d, [x, w(`${weight}.w`), w(`${weight}.b`)], twice));
    b.stage(weight, x);
  }
  b.output('masks', b.op(ops.reshape, [conv(x, 'mask.out')], { shape: [objects, MASK_SIZE, MASK_SIZE] }));
  return b.build();
}
