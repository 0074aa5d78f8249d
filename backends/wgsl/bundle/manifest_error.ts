/** `newer`: a later version wrote it. `damaged`: it is not what was written, or not a manifest. */
export type ManifestErrorCode = 'newer' | 'damaged';

/** A manifest that may not be used. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly code: ManifestErrorCode;

  constructor(code: ManifestErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
