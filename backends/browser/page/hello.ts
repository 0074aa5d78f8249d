import type { GpuFacts } from '../../client/gpu_facts.ts';

/** What a page says first. */
export interface Hello {
  /** `Chromium 156.0.8078.108`. */
  readonly browser: string;
  readonly threads: number;
  /** Whether the browser has WebGPU at all. */
  readonly webgpu: boolean;
  /** Undefined where WebGPU finds none. */
  readonly gpu?: GpuFacts;
}

/** What a page is told by a text in it. */
export interface PageConfig {
  /** The module that opens bundles: see `PageModule`. */
  readonly module: string;
  /** Scripts to be loaded before it, in order. */
  readonly scripts: readonly string[];
  readonly options: Pick<PageOptions, 'provider' | 'prepared'>;
}

/** What the module of a backend is told. */
export interface PageOptions {
  /** Address of the bundle, with `/` at the end. */
  readonly bundle: string;
  /** Address of the folders of packages, with `/` at the end. */
  readonly packages: string;
  readonly provider: 'webgpu' | 'wasm';
  /** What the backend found out before (`PageClient.prepare`). */
  readonly prepared: unknown;
}

/** A failure in a page, as it crosses to Node. */
export interface PageFailure {
  readonly code: string;
  readonly message: string;
  readonly place: { readonly file?: string; readonly tensor?: string; readonly hint?: string };
}

/** The element of a page that holds its PageConfig. */
export const CONFIG_ID = 'config';

/** Paths of what is no file, below the page's own. */
export const PATHS = { alive: 'alive', hello: 'hello', next: 'next', answer: 'answer', lost: 'lost' } as const;
