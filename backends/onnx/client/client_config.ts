import { dtypesOf, externalDataOf, mainFolder, type OnnxFile } from './onnx_files.ts';
import type { ClientFile, WithNotes } from '../../client_files.ts';

const NAME = 'config.json';
/** By which the client finds files. */
const OWN = 'transformers.js_config';

/** config.json with what tells the client which files there are. */
export function clientConfig(
  { value, notes }: WithNotes<Readonly<Record<string, unknown>>>,
  onnxFiles: readonly OnnxFile[],
): WithNotes<ClientFile> {
  const { [OWN]: replaced, ...fields } = value;
  const own = { dtype: dtypesOf(onnxFiles), use_external_data_format: externalDataOf(onnxFiles) };
  const usage = otherFolders(onnxFiles);
  return {
    value: { name: NAME, text: `${JSON.stringify({ ...fields, [OWN]: own }, null, 2)}\n` },
    notes: [
      ...notes,
      ...(replaced === undefined ? [] : [`${NAME}: replaced ${OWN}, which was about another bundle's files.`]),
      ...usage,
    ],
    usage,
  };
}

/**
 * config.json has one number per file name: a second folder may differ, and is then opened with the client's option.
 */
function otherFolders(files: readonly OnnxFile[]): string[] {
  const [main, known] = [mainFolder(files), externalDataOf(files)];
  const differing = files.filter(({ folder, name, dataFiles }) => folder !== main && (known[name] ?? 0) !== dataFiles);
  return [...new Set(differing.map((file) => file.folder))].map((folder) => {
    const counts = JSON.stringify(externalDataOf(files, folder));
    return [
      `To open the folder ${folder}, give from_pretrained`,
      `{ subfolder: '${folder}', use_external_data_format: ${counts} }:`,
      `its data files are not those that ${NAME} lists.`,
    ].join(' ');
  });
}
