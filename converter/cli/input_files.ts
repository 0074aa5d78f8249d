import { access, readdir } from 'node:fs/promises';
import { dirname, join, parse } from 'node:path';
import { listFiles } from '../bundle/check_bundle.ts';
import { MANIFEST_NAME, readManifest } from '../bundle/manifest.ts';
import { SIDECAR_NAMES } from '../checkpoints/checkpoint.ts';
import { isFolder } from '../checkpoints/is_folder.ts';
import { locateCheckpoint } from '../checkpoints/locate.ts';
import { splitSelector } from '../checkpoints/selector.ts';

/* Files that a command reads, by names alone: none of those that it writes may take the place of one. */

export interface ReadFile {
  readonly path: string;
  /** Whose it is: `the checkpoint`. */
  readonly of: string;
}

/** Files of a folder that are meant, by name. */
type Names = (name: string) => boolean;

const SETTINGS: ReadonlySet<string> = new Set([...SIDECAR_NAMES, 'config.json', 'adapter_config.json', 'eval.json']);
/** What is read of a folder of weights, or told from weights: its README.md is not. */
const isOfModel: Names = (name) =>
  SETTINGS.has(name) || /\.(?:safetensors(?:\.index\.json)?|npz|bin|pt|pth|ckpt|h5|msgpack|gguf)$/.test(name);
/** Weights of an export lie beside its graphs under any name, of a tensor too. */
const isOfExport: Names = (name) => !/\.(?:html?|xml|md|markdown|json|txt|log|png)$/i.test(name);
const isSample: Names = (name) => /\.(?:png|jpe?g|webp|gif|tiff?|avif|bmp|json|txt)$/i.test(name);

/** What is called by options of several commands. */
export interface GivenPaths {
  readonly checkpoint?: string | readonly string[] | undefined;
  readonly adapters?: readonly string[] | undefined;
  /** A checkpoint or a recording. */
  readonly against?: string | undefined;
  /** Folders of bundles. */
  readonly bundles?: readonly string[] | undefined;
  /** An export by another program: a folder or a file. */
  readonly export?: string | undefined;
  readonly samples?: string | undefined;
  readonly calibrate?: string | undefined;
  /** Any other, by what each is; undefined where it is not given. */
  readonly files?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Every file that is read of what a command was given; of what is not there, its name. */
export async function filesRead(given: GivenPaths): Promise<readonly ReadFile[]> {
  const { checkpoint = [], adapters = [], against, bundles = [], export: exported, samples, calibrate } = given;
  const found: ReadFile[] = [];
  const add = (of: string, paths: readonly string[]) => found.push(...paths.map((path) => ({ path, of })));
  for (const path of [checkpoint].flat()) add('the checkpoint', await checkpointFiles(path));
  for (const path of adapters) add('the adapter', await filesOf(path, isOfModel));
  if (against !== undefined) add('the original', [...(await checkpointFiles(against)), ...recordingFiles(against)]);
  for (const dir of bundles) {
    add(
      'the bundle',
      await listFiles(dir).then(
        (names) => names.map((name) => join(dir, name)),
        () => [],
      ),
    );
    add('the checkpoint', await convertedFiles(dir));
  }
  if (exported !== undefined) add('the export', await exportFiles(exported));
  if (samples !== undefined) add('the samples', [samples, ...(await picturesBeside(dirname(samples)))]);
  if (calibrate !== undefined) add('the calibration set', await filesOf(calibrate, isSample));
  for (const [of, path] of Object.entries(given.files ?? {})) if (path !== undefined) add(of, [path]);
  return found;
}

/** Whether a folder has a manifest of ours, sound or not. */
export function isBundle(dir: string): Promise<boolean> {
  return access(join(dir, MANIFEST_NAME)).then(
    () => true,
    () => false,
  );
}

async function checkpointFiles(given: string): Promise<readonly string[]> {
  const { path } = await splitSelector(given).catch(() => ({ path: given }));
  // of what is no checkpoint the files are spared as well: the error is told in reports
  const place = await locateCheckpoint(path).then(
    (located) => located.path,
    () => path,
  );
  const isWhole = await isFolder(place);
  const folder = isWhole ? place : dirname(place);
  const beside = isWhole
    ? await filesOf(folder, isOfModel)
    : [...SIDECAR_NAMES, 'eval.json'].map((name) => join(folder, name));
  return [place, ...beside, ...(await picturesBeside(folder))];
}

/** Where samples have theirs, and their masks: in folders beside the file, or one above. */
async function picturesBeside(folder: string): Promise<readonly string[]> {
  const folders = [folder, dirname(folder)].flatMap((dir) => [join(dir, 'images'), join(dir, 'masks')]);
  return (await Promise.all(folders.map((dir) => filesOf(dir, isSample)))).flat();
}

/** Of a checkpoint that is named by the manifest of a bundle. */
async function convertedFiles(dir: string): Promise<readonly string[]> {
  const manifest = await readManifest(dir).catch(() => undefined);
  if (!manifest) return [];
  const { checkpoint, adapters, tokenizer, maskDecoder } = manifest.options;
  const files = [tokenizer, maskDecoder].filter((path) => path !== undefined);
  for (const path of checkpoint) files.push(...(await checkpointFiles(path)));
  for (const adapter of adapters) files.push(...(await filesOf(adapter.dir, isOfModel)));
  return files;
}

/** With what says how it was recorded, and the stages of goldens. */
function recordingFiles(path: string): readonly string[] {
  const { dir, name } = parse(path);
  return [path, join(dir, `${name}.json`), join(dir, 'stages.safetensors')];
}

async function exportFiles(path: string): Promise<readonly string[]> {
  if (!(await isFolder(path))) return [path, ...(await filesOf(dirname(path), isOfExport))];
  const within = await readdir(path, { withFileTypes: true }).catch(() => []);
  const folders = within.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
  return (await Promise.all([path, ...folders].map((dir) => filesOf(dir, isOfExport)))).flat();
}

async function filesOf(dir: string, isMeant: Names): Promise<readonly string[]> {
  const found = await readdir(dir).catch((): string[] => []);
  return found.filter(isMeant).map((name) => join(dir, name));
}
