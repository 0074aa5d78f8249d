import { basename } from 'node:path';
import { BadInputError, type ErrorPlace } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';

/** How a file begins: what it is, whatever its name says. */
export type Content =
  | { readonly kind: 'safetensors' | 'zip' | 'empty' | 'unknown' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly hint: string };

const SAVE_AS_SAFETENSORS =
  'convert it in Python where you trust its source: PaliGemmaForConditionalGeneration.from_pretrained(folder).save_pretrained(out, safe_serialization=True), then give that folder';
const SAVE_STATE =
  'where you trust its source, in Python: state = torch.load(file, map_location="cpu", weights_only=True); of a training, take the dict of weights in it (state["state_dict"], state["model"]); safetensors.torch.save_file({name: t.clone() for name, t in state.items()}, "model.safetensors", {"format": "pt"}); then give that, with config.json beside it';
const SAVE_AS_NPZ =
  'restore it in Python with big_vision or Orbax and write it with numpy.savez (one array per "params/..." key), then give that .npz';

const REFUSED = {
  pickle: {
    code: 'pickle_refused',
    message: 'a PyTorch pickle, which can run code when it is loaded',
    hint: SAVE_AS_SAFETENSORS,
  },
  gguf: {
    code: 'unsupported_format',
    message: 'a GGUF file (llama.cpp)',
    hint: 'give the original Hugging Face or big_vision checkpoint',
  },
  hdf5: {
    code: 'unsupported_format',
    message: 'an HDF5 file (Keras)',
    hint: 'give the original Hugging Face or big_vision checkpoint',
  },
  msgpack: {
    code: 'unsupported_format',
    message: 'a Flax msgpack file',
    hint: 'give the safetensors files of the same model',
  },
  archive: {
    code: 'unsupported_format',
    message: 'a compressed archive',
    hint: 'extract it and give the .npz or the folder inside',
  },
  npy: { code: 'unsupported_format', message: 'a single .npy array', hint: 'give the .npz that holds all arrays' },
  tensorstore: { code: 'unsupported_format', message: 'an Orbax, TensorStore or OCDBT checkpoint', hint: SAVE_AS_NPZ },
  html: {
    code: 'html_page',
    message: 'an HTML page, not weights: the download was answered by a web page',
    hint: 'if the repository is gated, accept its licence on huggingface.co, run "hf auth login", and download again',
  },
} as const;

export type RefusedKind = keyof typeof REFUSED;

/**
 * Why a recognised format is not read, and the way out.
 * @param name of the file; default that of the place
 */
export function refusal(kind: RefusedKind, place: ErrorPlace, name = basename(place.file ?? '')): BadInputError {
  const { code, message } = REFUSED[kind];
  return new BadInputError(code, message, { ...place, hint: hintFor(kind, name) });
}

/** from_pretrained reads weights by the names that save_pretrained gives them; others are a dict to be unpacked. */
function hintFor(kind: RefusedKind, name: string): string {
  return kind === 'pickle' && !/^(?:pytorch_model|model)\b.*\.bin$/.test(name) ? SAVE_STATE : REFUSED[kind].hint;
}

/** What a file name says of formats that are never read; undefined for others. */
export function refusedName(name: string): RefusedKind | undefined {
  if (/\.(bin|pt|pth|ckpt|pkl|pickle)$/i.test(name)) return 'pickle';
  if (/\.gguf$/i.test(name)) return 'gguf';
  if (/\.(h5|hdf5|keras)$/i.test(name)) return 'hdf5';
  if (/\.msgpack$/i.test(name)) return 'msgpack';
  if (/\.(tar|tgz|tar\.gz|zst|7z)$/i.test(name)) return 'archive';
  if (/^(_METADATA|_CHECKPOINT_METADATA|manifest\.ocdbt|\.zarray|ocdbt\.process_\d+)$|-LAST$|^params~/.test(name))
    return 'tensorstore';
  return undefined;
}

const startsWith = (head: Uint8Array, ...bytes: readonly number[]): boolean =>
  bytes.every((byte, i) => head[i] === byte);

/** Looks at the first bytes of a file. */
export async function recognize(file: InputFile): Promise<Content> {
  const refused = (kind: RefusedKind): Content => ({
    kind: 'refused',
    ...REFUSED[kind],
    hint: hintFor(kind, file.name),
  });
  const head = await file.read(0, Math.min(file.byteLength, 512));
  if (head.byteLength === 0) return { kind: 'empty' };
  // A plausible length and "{": before the magic numbers below, which a header length may spell.
  if (head[5] === 0 && head[6] === 0 && head[7] === 0 && head[8] === 0x7b) return { kind: 'safetensors' };
  if (startsWith(head, 0x50, 0x4b, 3, 4) || startsWith(head, 0x50, 0x4b, 5, 6)) return { kind: 'zip' };
  if (startsWith(head, 0x80) && head[1]! >= 2 && head[1]! <= 5) return refused('pickle');
  if (startsWith(head, 0x47, 0x47, 0x55, 0x46)) return refused('gguf');
  if (startsWith(head, 0x89, 0x48, 0x44, 0x46)) return refused('hdf5');
  if (startsWith(head, 0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59)) return refused('npy');
  if (startsWith(head, 0x1f, 0x8b) || startsWith(head, 0x28, 0xb5, 0x2f, 0xfd) || startsWith(head, 0x42, 0x5a, 0x68))
    return refused('archive');
  const text = Buffer.from(head).toString('latin1');
  if (text.startsWith('version https://git-lfs.github.com/spec/')) return lfsPointer(text);
  if (/^(?:\u00ef\u00bb\u00bf)?\s*<(?:!doctype|html|head|\?xml|!--)/i.test(text)) return refused('html');
  return { kind: 'unknown' };
}

function lfsPointer(text: string): Content {
  const size = /^size (\d{1,16})$/m.exec(text)?.[1];
  return {
    kind: 'refused',
    code: 'git_lfs_pointer',
    message: `a Git LFS pointer, not the weights${size === undefined ? '' : ` (${size} bytes)`}`,
    hint: 'run git lfs pull in the repository folder',
  };
}
