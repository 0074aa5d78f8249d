/** Modules of Node and its packages by names that bundlers for browsers do not see: there they do not exist and are never asked for. */

type Builtins = typeof globalThis & { readonly process?: { getBuiltinModule?(name: string): unknown } };

/** A module of Node; undefined in browsers. */
export function nodeModule<T>(name: `node:${string}`): T | undefined {
  return (globalThis as Builtins).process?.getBuiltinModule?.(name) as T | undefined;
}

/** A package that only Node has. @throws what `import` throws when it is not installed */
export function nodePackage<T>(name: string): Promise<T> {
  return import(/* @vite-ignore */ /* webpackIgnore: true */ name) as Promise<T>;
}
