/** Where a problem is and what to do about it, as far as it is known. */
export interface BackendPlace {
  readonly file?: string;
  readonly tensor?: string;
  /** Byte offset in the file. */
  readonly offset?: number;
  /** What the user can do, as an instruction. */
  readonly hint?: string;
}

/**
 * What stopped: an emitted file that is damaged, a runtime that is absent or refused, a program that a backend cannot
 * express.
 */
export type BackendErrorCode =
  | 'bundle-damaged'
  | 'bundle-missing'
  | 'runtime-missing'
  | 'runtime-failed'
  | 'no-webgpu'
  | 'browser-failed'
  | 'device-lost'
  | 'bad-input'
  | 'unmapped-ports'
  | 'ambiguous-graphs'
  | 'unsupported';

/** A backend's failure, by code and place; whoever wires backends together gives it an exit code. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  readonly code: BackendErrorCode;
  readonly place: BackendPlace;

  constructor(code: BackendErrorCode, message: string, place: BackendPlace = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.place = place;
  }
}
