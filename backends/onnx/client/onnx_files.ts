import { BackendError } from '../../error.ts';

/** The sessions that the client opens for PaliGemma. */
export const SESSIONS = ['embed_tokens', 'vision_encoder', 'decoder_model_merged'] as const;
export type SessionName = (typeof SESSIONS)[number];

/** A graph file of the bundle, with the files of its external data. */
export interface OnnxFile {
  /** `onnx`, or the client's option `subfolder`. */
  readonly folder: string;
  /** `decoder_model_merged_fp16.onnx`. */
  readonly name: string;
  /** `name_data`, `name_data_1`, …: how many. */
  readonly dataFiles: number;
}

/** The client's `dtype` for each ending of a file name (@huggingface/transformers 4.3.1, src/utils/dtypes.js). */
const DTYPES: Readonly<Record<string, string>> = {
  '': 'fp32',
  _fp16: 'fp16',
  _int8: 'int8',
  _uint8: 'uint8',
  _quantized: 'q8',
  _q4: 'q4',
  _q4f16: 'q4f16',
  _bnb4: 'bnb4',
};

/** The default of the client's option `subfolder`. */
export const DEFAULT_FOLDER = 'onnx';

/**
 * Finds the graphs and counts their data files among a bundle's paths.
 * @throws BackendError when a data file has no graph or a gap before it.
 */
export function onnxFilesOf(paths: readonly string[]): OnnxFile[] {
  const all = new Set(paths);
  const files = paths
    .filter((path) => path.endsWith('.onnx'))
    .map((path): OnnxFile => {
      let dataFiles = 0;
      while (all.delete(`${path}_data${dataFiles === 0 ? '' : `_${dataFiles}`}`)) dataFiles++;
      const slash = path.lastIndexOf('/');
      return { folder: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1), dataFiles };
    });
  const stray = [...all].find((path) => /\.onnx_data(_\d+)?$/.test(path));
  if (stray !== undefined)
    throw new BackendError('bundle-damaged', `"${stray}" follows no graph file, or a gap in the numbering`, {
      file: stray,
      hint: 'convert again',
    });
  return files;
}

/** The folder that config.json and the README are about: the client's default where there is one. */
export function mainFolder(files: readonly OnnxFile[]): string {
  return files.some((file) => file.folder === DEFAULT_FOLDER) ? DEFAULT_FOLDER : (files[0]?.folder ?? DEFAULT_FOLDER);
}

/**
 * The dtype by which the client asks for each session's file in a folder; a session that is there in two is left out.
 */
export function dtypesOf(files: readonly OnnxFile[], folder = mainFolder(files)): Partial<Record<SessionName, string>> {
  const found = SESSIONS.map((session) => {
    const dtypes = files.flatMap((file) => {
      const suffix =
        file.folder === folder && file.name.startsWith(session)
          ? file.name.slice(session.length, -'.onnx'.length)
          : undefined;
      const dtype = suffix === undefined || !Object.hasOwn(DTYPES, suffix) ? undefined : DTYPES[suffix];
      return dtype === undefined ? [] : [dtype];
    });
    return dtypes.length === 1 ? [[session, dtypes[0]!] as const] : [];
  });
  return Object.fromEntries(found.flat());
}

/** Files with external data and their number of data files, keyed as `use_external_data_format` is. */
export function externalDataOf(files: readonly OnnxFile[], folder = mainFolder(files)): Record<string, number> {
  return Object.fromEntries(
    files
      .filter((file) => file.folder === folder && file.dataFiles > 0)
      .map(({ name, dataFiles }) => [name, dataFiles]),
  );
}
