/** Modules of Node and its packages by names that bundlers for browsers do not see: there they do not exist and are never asked for. */

interface NodeModules {
  readonly 'node:crypto': typeof import('node:crypto');
  readonly 'node:fs': typeof import('node:fs');
  readonly 'node:url': typeof import('node:url');
}

interface NodePackages {
  readonly sharp: typeof import('sharp');
  readonly webgpu: typeof import('webgpu');
}

/** A module of Node; undefined in browsers. */
export function nodeModule<K extends keyof NodeModules>(name: K): NodeModules[K] | undefined {
  return (globalThis as { readonly process?: { getBuiltinModule?(name: K): NodeModules[K] } }).process?.getBuiltinModule?.(name);
}

/** A package that only Node has. @throws what `import` throws when it is not installed */
export function nodePackage<K extends keyof NodePackages>(name: K): Promise<NodePackages[K]> {
  return import(/* @vite-ignore */ /* webpackIgnore: true */ name as string) as Promise<NodePackages[K]>;
}
