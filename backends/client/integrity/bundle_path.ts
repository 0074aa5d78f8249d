/** Names that Windows keeps for devices. */
const DEVICES = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;

/**
 * Why a path of a manifest must not be followed, or undefined when it is safe: relative, with `/`, inside the bundle,
 * and naming the same file on every system.
 */
export function unsafePathReason(path: string): string | undefined {
  if (path === '') return 'it is empty';
  if (path.startsWith('/')) return 'it is absolute';
  if (path.includes('\\')) return 'it has a backslash';
  if (path.includes(':')) return 'it has a colon';
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'it has a control character';
  for (const part of path.split('/')) {
    if (part === '') return 'it has an empty part';
    if (part === '.' || part === '..') return `it has a part "${part}"`;
    if (part.endsWith('.') || part.endsWith(' ')) return 'a part ends with a dot or a space';
    if (DEVICES.test(part)) return `"${part}" is a device on Windows`;
  }
  return undefined;
}
