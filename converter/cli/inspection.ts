import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesText } from '../../backends/bytes_text.ts';
import type { DescribedFile } from '../../backends/backend.ts';
import type { ForeignBundles } from '../../backends/foreign.ts';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import { usualTarget } from '../../backends/usual_target.ts';
import { dtypes, type DType } from '../../ir/dtypes/index.ts';
import { graphNamed } from '../../ir/graph.ts';
import { runPassesOnProgram, type Pass } from '../../ir/passes/index.ts';
import { printGraph } from '../../ir/print.ts';
import { elementCount } from '../../ir/tensor.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { insideBundle } from '../bundle/inside_bundle.ts';
import { MANIFEST_NAME, readManifest, type Manifest } from '../bundle/manifest.ts';
import { UsageError } from '../errors.ts';
import type { Model } from '../models/family.ts';
import { chooseStorage } from '../precision/bit_allocation/index.ts';
import { withInputs, type Inputs } from '../inputs/inputs.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import { narrowingFor, passesFor, usualMixed } from '../precision/precision.ts';
import { bundleBackend } from '../bundle/open_bundle.ts';
import { ledgerTable } from './ledger_table.ts';
import { changesTable } from './changes_table.ts';
import { printed, type Io, type JsonText, type Lines } from './io.ts';
import { showDescription } from './show_description.ts';
import { adapterSources, type AdapterFlags, type ModelFlags } from './options.ts';
import { table } from '../terminal/table.ts';

export interface InspectFlags extends ModelFlags, AdapterFlags {
  readonly ir?: string;
  readonly dtype?: Precision;
  /** A backend's name; default the first. */
  readonly to?: string;
  readonly tensors?: boolean;
  readonly json?: boolean;
}

/** Shows what lies at a path: a checkpoint, a bundle, an export by another program or an .onnx file. */
export async function inspect(io: Io, path: string, flags: InspectFlags): Promise<void> {
  const bundle = (await isFile(join(path, MANIFEST_NAME))) ? await readManifest(path) : undefined;
  const file = bundle ? undefined : await describedFile(path);
  const exported = bundle || file ? undefined : await foreignFolder(path);
  if (flags.ir !== undefined && (bundle ?? file ?? exported))
    throw new UsageError('no_ir', 'the IR is made from a checkpoint', {
      file: path,
      hint: 'give the checkpoint, with --dtype to see what the passes make of it',
    });
  if (file) return showDescription(io, await file.describe(path), flags);
  if (bundle) return showBundle(io, path, bundle, flags);
  if (exported) return showDescription(io, await exported.describe(path), flags);
  return withInputs((inputs) => inspectCheckpoint(io, path, flags, inputs));
}

async function inspectCheckpoint(io: Io, path: string, flags: InspectFlags, inputs: Inputs): Promise<void> {
  const { reference, finalSoftcap, slidingWindow, leaveOut, maskDecoder } = flags;
  const opened = await openModel({
    checkpoint: path,
    adapters: adapterSources(flags),
    reference,
    finalSoftcap,
    slidingWindow,
    leaveOut,
    maskDecoder,
    // a head that repeats the embedding is another GB to read: only the graph itself depends on it
    compare: flags.ir !== undefined,
    inputs,
  });
  try {
    if (flags.ir !== undefined) return io.out(await irText(opened.model, flags.ir, flags));
    return showCheckpoint(io, opened, flags);
  } finally {
    await opened.close();
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** How a file is described that some backend's bundles have; undefined for others, as those of checkpoints. */
async function describedFile(path: string): Promise<DescribedFile | undefined> {
  if (!(await isFile(path))) return undefined;
  const all = await Promise.all(backendNames().map(findBackend));
  return all.find(({ file }) => file && path.endsWith(file.extension))?.file;
}

/** Who knows what another program exported to a folder; undefined for folders of checkpoints. */
async function foreignFolder(path: string): Promise<ForeignBundles | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return undefined;
  const names = await readdir(path);
  if (names.some((name) => /\.(safetensors|npz|index\.json)$/.test(name))) return undefined;
  for (const name of backendNames()) {
    const { foreign } = await findBackend(name);
    if (await foreign?.recognizes(path)) return foreign;
  }
  return undefined;
}

async function irText(
  { program, roleOf }: Model,
  name: string,
  { dtype: precision, to = backendNames()[0], json: asJson = false }: InspectFlags,
): Promise<Lines | JsonText> {
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
  return asJson ? printed('inspect', { kind: 'ir', graph: name, ir: text }) : text.trimEnd().split('\n');
}

async function passesOf(
  precision: Precision,
  to: string,
  { program, roleOf }: Pick<Model, 'program' | 'roleOf'>,
): Promise<readonly Pass[]> {
  const backend = await findBackend(to);
  const target = usualTarget(backend, precision);
  const narrowing = narrowingFor(precision, backend, target);
  const mixed = usualMixed(backend, target);
  return passesFor(precision, {
    storageOf: await chooseStorage({ precision, mixed, program, roleOf, backend, target }),
    backend,
    target,
    ...(narrowing && { narrowing }),
  });
}

function showCheckpoint(
  io: Io,
  { checkpoint, adapters, model, ledger, warnings }: OpenModel,
  flags: InspectFlags,
): void {
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
      printed('inspect', {
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
        ledger,
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
  io.out(ledgerTable(ledger));
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

/** @throws BadInputError for a bundle of a backend that is not known here */
async function showBundle(io: Io, dir: string, manifest: Manifest, flags: InspectFlags): Promise<void> {
  const backend = await bundleBackend(dir, manifest);
  for (const { path } of manifest.files) await insideBundle(dir, path);
  const { data, ...shown } = await backend.describe({ dir, files: manifest.files });
  showDescription(
    io,
    {
      ...shown,
      data: { kind: 'bundle', path: dir, manifest, ...data },
      parts: [bundleLine(dir, manifest), ...shown.parts],
    },
    flags,
  );
}

function bundleLine(dir: string, { backend, precision, program, tool, source, files }: Manifest): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return `${dir}: ${program.variant}, ${backend} ${precision}, ${bytesText(bytes)}, made by ${tool.name} ${tool.version} from ${source.format} (${source.files.map((file) => file.path).join(', ')})`;
}
