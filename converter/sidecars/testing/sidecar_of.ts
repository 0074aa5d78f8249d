import type { Sidecar } from '../sidecar.ts';

export function sidecarOf(contents: unknown, file = 'dir/file.json'): Sidecar {
  return { file, bytes: new TextEncoder().encode(typeof contents === 'string' ? contents : JSON.stringify(contents)) };
}
