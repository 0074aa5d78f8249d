import { stat } from 'node:fs/promises';

/** Whether a folder is there, links followed. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
