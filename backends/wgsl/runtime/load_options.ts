import type { CacheDirectory, CacheReport } from './cache.ts';
import type { GpuProvider } from './device.ts';
import type { LoadTimes } from './executor.ts';
import type { WgslDeviceModel } from './device_model.ts';
import type { PipelineChoice } from './pipelines.ts';

export interface LoadOptions {
  /** A device of the caller's, who also destroys it; default one of its own with all that the model can use. */
  readonly device?: GPUDevice;
  /** Where a device comes from, or that of the caller did; default the browser, or the package webgpu. */
  readonly gpu?: GpuProvider;
  /** Hears of weights: bytes of all. */
  readonly onProgress?: (progress: { readonly loaded: number; readonly total: number }) => void;
  /** Ends loading: its reason is thrown, and nothing stays. */
  readonly signal?: AbortSignal;
  /**
   * Where weights from a URL are kept: `true` (default) in the browser's own file system, `false` nowhere, or a folder
   * of it.
   */
  readonly cache?: boolean | CacheDirectory;
  /** Whether files are held to manifest.json as they come; default true. `false` takes them as they are. */
  readonly integrity?: boolean;
}

/** What the runtime found and chose. */
export interface LoadInfo {
  /** Of the bundle: `int4`. */
  readonly precision: string;
  /** The device, for people. */
  readonly adapter: string;
  /** Of the device that was opened. */
  readonly features: readonly string[];
  /** For each kernel the variant that runs, and why not a better one. */
  readonly choices: readonly PipelineChoice[];
  /** What became of keeping weights in the browser. */
  readonly cache: Readonly<CacheReport>;
  /** What the time to the first answer was spent on before it could be asked. */
  readonly milliseconds: LoadTimes;
}

/** A model on a device that works. */
export interface Started {
  readonly model: WgslDeviceModel;
  readonly info: LoadInfo;
  dispose(): void;
}
