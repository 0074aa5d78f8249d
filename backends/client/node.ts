import type * as crypto from 'node:crypto';
import type * as fs from 'node:fs';
import type * as url from 'node:url';
import type sharp from 'sharp';
import type * as webgpu from 'webgpu';

/**
 * Modules of Node and its packages, asked for by names that bundlers for browsers do not see: there they do not exist
 * and are not needed.
 */
interface NodeModules {
  readonly 'node:crypto': typeof crypto;
  readonly 'node:fs': typeof fs;
  readonly 'node:url': typeof url;
}

interface NodePackages {
  readonly sharp: { readonly default: typeof sharp };
  readonly webgpu: typeof webgpu;
}

/** A module of Node; undefined in browsers. */
export function nodeModule<K extends keyof NodeModules>(name: K): NodeModules[K] | undefined {
  return (
    globalThis as { readonly process?: { getBuiltinModule?(name: K): NodeModules[K] } }
  ).process?.getBuiltinModule?.(name);
}

/** A package that only Node has. @throws what `import` throws when it is not installed */
export function nodePackage<K extends keyof NodePackages>(name: K): Promise<NodePackages[K]> {
  return import(/* @vite-ignore */ /* webpackIgnore: true */ name) as Promise<NodePackages[K]>;
}
