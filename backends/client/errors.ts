/** What went wrong, for programs: each has its own recovery. */
export type RuntimeErrorCode =
  /** No WebGPU, or no adapter. */
  | 'no_webgpu'
  /** The adapter lacks a feature that every variant of a kernel needs. */
  | 'missing_feature'
  /** The adapter's limits are below what the model needs. */
  | 'small_limit'
  /** There is no such file. */
  | 'not_found'
  /** The server does not answer. */
  | 'network'
  /** A file is short, long, or not what the manifest says. */
  | 'damaged'
  /** The manifest is of a later version. */
  | 'newer_version'
  /** A shader does not compile here. */
  | 'bad_shader'
  /** A call that does not fit the model: a prompt without room, a tensor of another shape. */
  | 'bad_input'
  /** The device is gone: `recover()` loads again. */
  | 'device_lost'
  /** A command that the device does not take: an error of bundle or runtime. */
  | 'refused'
  /** The device ran out of memory. */
  | 'out_of_memory'
  /** `dispose()` was called. */
  | 'disposed';

/** Every error of the runtime but an AbortSignal's own reason. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  /** For programs; docs/error-codes.md has a way out for each. */
  readonly code: RuntimeErrorCode;
  /** What is wrong: the message without the hint. */
  readonly problem: string;
  /** What to do. */
  readonly hint: string | undefined;

  constructor(code: RuntimeErrorCode, message: string, hint?: string, options?: ErrorOptions) {
    super(hint === undefined ? message : `${message}: ${hint}`, options);
    this.code = code;
    this.problem = message;
    this.hint = hint;
  }
}
