import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { backends, type BackendName } from '../../backends/index.ts';
import type { OnnxSummary } from '../../backends/onnx/read.ts';
import { dtypes, type DType } from '../../ir/dtypes/index.ts';
import { graphNamed } from '../../ir/graph.ts';
import { runPassesOnProgram, type Pass } from '../../ir/passes/index.ts';
import { printGraph } from '../../ir/print.ts';
import { elementCount } from '../../ir/tensor.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { MANIFEST_NAME, readManifest, type Manifest } from '../bundle/manifest.ts';
import { UsageError } from '../errors.ts';
import type { Model } from '../models/family.ts';
import { chooseStorage } from '../precision/bit_allocation/index.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import { narrowingFor, passesFor } from '../precision/precision.ts';
import { bytesText } from '../terminal/units.ts';
import { changesTable } from './changes_table.ts';
import { json, type Io } from './io.ts';
import { adapterSources, type AdapterFlags, type ModelFlags } from './options.ts';
import { table } from '../terminal/table.ts';

export interface InspectFlags extends ModelFlags, AdapterFlags {
  readonly ir?: string;
  readonly dtype?: Precision;
  readonly to?: BackendName;
  readonly tensors?: boolean;
  readonly json?: boolean;
}

/** Shows what lies at a path: a checkpoint, a bundle or an .onnx file. */
export async function inspect(io: Io, path: string, flags: InspectFlags): Promise<void> {
  const kind = await kindOf(path);
  if (flags.ir !== undefined && kind !== 'checkpoint')
    throw new UsageError('no_ir', 'the IR is made from a checkpoint', {
      file: path,
      hint: 'give the checkpoint, with --dtype to see what the passes make of it',
    });
  if (kind === 'onnx') return showOnnx(io, await summaryOf(path), flags);
  if (kind === 'bundle') return showBundle(io, path, flags);
  const { reference, finalSoftcap, slidingWindow } = flags;
  const opened = await openModel({
    checkpoint: path,
    adapters: adapterSources(flags),
    reference,
    finalSoftcap,
    slidingWindow,
  });
  try {
    if (flags.ir !== undefined) return io.out(await irText(opened.model, flags.ir, flags));
    return showCheckpoint(io, opened, flags);
  } finally {
    await opened.close();
  }
}

async function kindOf(path: string): Promise<'checkpoint' | 'bundle' | 'onnx'> {
  if ((await stat(path).catch(() => undefined))?.isFile() && path.endsWith('.onnx')) return 'onnx';
  return (await stat(join(path, MANIFEST_NAME)).catch(() => undefined))?.isFile() ? 'bundle' : 'checkpoint';
}

async function summaryOf(path: string): Promise<OnnxSummary> {
  const { readOnnx } = await import('../../backends/onnx/read.ts');
  return readOnnx(path);
}

async function irText(
  { program, roleOf }: Model,
  name: string,
  { dtype: precision, to = 'onnx', json: asJson = false }: InspectFlags,
): Promise<string> {
  if (!program.graphs.some((graph) => graph.name === name))
    throw new UsageError('unknown_graph', `there is no graph "${name}"`, {
      hint: `choose one of ${program.graphs.map((graph) => graph.name).join(', ')}`,
    });
  const text = printGraph(
    graphNamed(
      precision ? runPassesOnProgram(program, await passesOf(precision, to, { program, roleOf })) : program,
      name,
    ),
  );
  return asJson ? json({ graph: name, ir: text }) : text.trimEnd();
}

async function passesOf(
  precision: Precision,
  to: BackendName,
  { program, roleOf }: Pick<Model, 'program' | 'roleOf'>,
): Promise<readonly Pass[]> {
  const backend = await backends[to]();
  const narrowing = narrowingFor(precision, backend, backend.targets[0]);
  return passesFor(precision, {
    storageOf: await chooseStorage({ precision, program, roleOf }),
    backend,
    ...(narrowing && { narrowing }),
  });
}

function showCheckpoint(io: Io, { checkpoint, adapters, model, warnings }: OpenModel, flags: InspectFlags): void {
  const { format, path, files, tensors } = checkpoint;
  const list = [...tensors].map(([name, data]) => ({
    name,
    dtype: data.dtype,
    shape: data.shape,
    parameters: elementCount(data.shape),
    bytes: data.byteLength,
    file: data.from?.file,
    offset: data.from?.byteOffset,
  }));
  const byDtype = [...new Set(list.map((t) => t.dtype))].map((dtype) =>
    sumUp(
      dtype,
      list.filter((t) => t.dtype === dtype),
    ),
  );
  const { metadata } = model.program;
  if (flags.json)
    return io.out(
      json({
        kind: 'checkpoint',
        format,
        path,
        family: model.family,
        variant: metadata.variant,
        metadata,
        inferences: model.inferences,
        dtypes: byDtype,
        files,
        adapters: adapters.map(({ path: dir, scale, files: of }) => ({ dir, scale, files: of })),
        changes: model.changes,
        tensors: list,
        warnings,
      }),
    );
  io.out(
    `${path}: ${model.family}, ${metadata.variant}, ${format}, ${files.length} file${files.length === 1 ? '' : 's'}`,
  );
  io.out(
    table(
      ['dtype', 'tensors', 'parameters', 'bytes'],
      byDtype.map((d) => [d.dtype, d.tensors, d.parameters.toLocaleString('en'), bytesText(d.bytes)]),
      [1, 2, 3],
    ),
  );
  io.out(
    table(
      ['size', 'value', 'known from'],
      model.inferences.map(({ field, value, from }) => [field, String(value), from]),
    ),
  );
  if (model.changes.length > 0) io.out(changesTable(model.changes));
  if (flags.tensors)
    io.out(
      table(
        ['tensor', 'dtype', 'shape', 'bytes'],
        list.map((t) => [t.name, t.dtype, `[${t.shape.join(', ')}]`, t.bytes]),
        [3],
      ),
    );
  for (const warning of warnings) io.err(`warning: ${warning}`);
}

function sumUp(dtype: DType, list: readonly { parameters: number; bytes: number }[]) {
  const sum = (of: 'parameters' | 'bytes') => list.reduce((total, tensor) => total + tensor[of], 0);
  return { dtype, bits: dtypes[dtype].bits, tensors: list.length, parameters: sum('parameters'), bytes: sum('bytes') };
}

async function showBundle(io: Io, dir: string, flags: InspectFlags): Promise<void> {
  const manifest = await readManifest(dir);
  if (manifest.backend === 'wgsl') {
    const { showShaders } = await import('./inspect_shaders.ts');
    return showShaders(io, { dir, manifest, line: bundleLine(dir, manifest) }, flags);
  }
  if (manifest.backend === 'tfjs') {
    const { showGraphModels } = await import('./inspect_graph_models.ts');
    return showGraphModels(io, { dir, manifest, line: bundleLine(dir, manifest) }, flags);
  }
  const paths = manifest.files.map((file) => file.path).filter((path) => path.endsWith('.onnx'));
  const graphs = await Promise.all(paths.map(async (path) => ({ path, summary: await summaryOf(join(dir, path)) })));
  if (flags.json) return io.out(json({ kind: 'bundle', path: dir, manifest, graphs }));
  io.out(bundleLine(dir, manifest));
  const rows = graphs.map(({ path, summary: s }) => [
    path,
    [...s.ops.values()].reduce((a, b) => a + b, 0),
    s.initializers.length,
    s.parameters.toLocaleString('en'),
    bytesText(s.bytes),
  ]);
  io.out(table(['graph', 'nodes', 'initializers', 'parameters', 'weight bytes'], rows, [1, 2, 3, 4]));
  for (const { path, summary } of graphs) io.out(`${path}: ${opsText(summary)}`);
  io.out(
    table(
      ['file', 'bytes', 'sha256'],
      manifest.files.map((file) => [file.path, file.bytes, file.sha256.slice(0, 16)]),
      [1],
    ),
  );
}

function bundleLine(dir: string, { backend, precision, program, tool, source, files }: Manifest): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return `${dir}: ${program.variant}, ${backend} ${precision}, ${bytesText(bytes)}, made by ${tool.name} ${tool.version} from ${source.format} (${source.files.map((file) => file.path).join(', ')})`;
}

function opsText({ ops }: OnnxSummary): string {
  return [...ops].map(([op, count]) => `${count} ${op}`).join(', ');
}

function showOnnx(io: Io, summary: OnnxSummary, flags: InspectFlags): void {
  if (flags.json) return io.out(json({ kind: 'onnx', ...summary }));
  const opsets = [...summary.opsets].map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`).join(', ');
  io.out(
    `${summary.file}: graph ${summary.graph}, IR version ${summary.irVersion}, ${opsets}, ${summary.parameters.toLocaleString('en')} parameters, ${bytesText(summary.bytes)}`,
  );
  const port = (kind: string) => (p: OnnxSummary['inputs'][number]) => [
    kind,
    p.name,
    p.dtype,
    p.shape ? `[${p.shape.join(', ')}]` : '?',
  ];
  io.out(
    table(
      ['', 'name', 'dtype', 'shape'],
      [...summary.inputs.map(port('input')), ...summary.outputs.map(port('output'))],
    ),
  );
  io.out(opsText(summary));
  if (flags.tensors)
    io.out(
      table(
        ['initializer', 'dtype', 'shape', 'bytes', 'in'],
        summary.initializers.map((t) => [
          t.name,
          t.dtype,
          `[${t.shape.join(', ')}]`,
          t.byteLength,
          t.external ? `${t.external.location} at ${t.external.offset}` : 'the model file',
        ]),
        [3],
      ),
    );
}
