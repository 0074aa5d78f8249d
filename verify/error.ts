/** What does not fit: a case and the model, a recording and its tensors. */
export type VerifyErrorCode = 'bad_case' | 'bad_recording' | 'bad_output' | 'bad_bundle' | 'too_long';

/** Verification or generation cannot run: not a verdict about numbers. Whoever wires it gives it an exit code. */
export class VerifyError extends Error {
  override readonly name = 'VerifyError';
  readonly code: VerifyErrorCode;
  /** What the user can do, as an instruction. */
  readonly hint: string | undefined;

  constructor(code: VerifyErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}
