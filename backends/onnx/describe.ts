import { join } from 'node:path';
import { bytesText } from '../bytes_text.ts';
import type { BundleFolder, Description, StoredTensor, TextTable } from '../description.ts';
import { readOnnx, type OnnxSummary } from './read.ts';

/** Of the files that hold graphs. */
export const EXTENSION = '.onnx';
/** What shapes, axes and masks are made of. */
const SHAPE_DTYPES = new Set(['i64', 'i32', 'bool']);

/** The graphs of a bundle and its files. */
export async function describe({ dir, files }: BundleFolder): Promise<Description> {
  const paths = graphPaths(files);
  const graphs = await Promise.all(paths.map(async (path) => ({ path, summary: await readOnnx(join(dir, path)) })));
  const graphTable: TextTable = {
    head: ['graph', 'nodes', 'initializers', 'parameters', 'weight bytes'],
    rows: graphs.map(({ path, summary: s }) => [
      path,
      [...s.ops.values()].reduce((a, b) => a + b, 0),
      s.initializers.length,
      s.parameters.toLocaleString('en'),
      bytesText(s.bytes),
    ]),
    numeric: [1, 2, 3, 4],
  };
  const fileTable: TextTable = {
    head: ['file', 'bytes', 'sha256'],
    rows: files.map((file) => [file.path, file.bytes, file.sha256.slice(0, 16)]),
    numeric: [1],
  };
  const ops = graphs.map(({ path, summary }) => `${path}: ${opsText(summary)}`);
  return { data: { graphs }, parts: [graphTable, ...ops, fileTable] };
}

/** Any .onnx file, not only of ours. */
export async function describeFile(path: string): Promise<Description> {
  const summary = await readOnnx(path);
  const opsets = [...summary.opsets].map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`);
  const line = [
    `${summary.file}: graph ${summary.graph}`,
    `IR version ${summary.irVersion}`,
    ...opsets,
    `${summary.parameters.toLocaleString('en')} parameters`,
    bytesText(summary.bytes),
  ].join(', ');
  const port = (kind: string) => (p: OnnxSummary['inputs'][number]) => [
    kind,
    p.name,
    p.dtype,
    p.shape ? `[${p.shape.join(', ')}]` : '?',
  ];
  const ports: TextTable = {
    head: ['', 'name', 'dtype', 'shape'],
    rows: [...summary.inputs.map(port('input')), ...summary.outputs.map(port('output'))],
    numeric: [],
  };
  const tensors: TextTable = {
    head: ['initializer', 'dtype', 'shape', 'bytes', 'in'],
    rows: summary.initializers.map((t) => [
      t.name,
      t.dtype,
      `[${t.shape.join(', ')}]`,
      t.byteLength,
      t.external ? `${t.external.location} at ${t.external.offset}` : 'the model file',
    ]),
    numeric: [3],
  };
  return { data: { kind: 'onnx', ...summary }, parts: [line, ports, opsText(summary)], tensors };
}

/** Initializers but those of shapes; what several graphs find at one place once. */
export async function storedTensors({ dir, files }: BundleFolder): Promise<readonly StoredTensor[]> {
  const places = new Map<string, StoredTensor>();
  for (const path of graphPaths(files))
    for (const { name, byteLength, external, dtype } of (await readOnnx(join(dir, path))).initializers) {
      const place = external ? `${external.location} ${external.offset}` : `${path} ${name}`;
      if (!SHAPE_DTYPES.has(dtype)) places.set(place, { name, bytes: byteLength });
    }
  return [...places.values()];
}

function graphPaths(files: BundleFolder['files']): readonly string[] {
  return files.map((file) => file.path).filter((path) => path.endsWith(EXTENSION));
}

function opsText({ ops }: OnnxSummary): string {
  return [...ops].map(([op, count]) => `${count} ${op}`).join(', ');
}
