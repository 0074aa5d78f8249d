/** Work with a known amount: bytes of files, or steps. */
export interface Stage {
  /** `amount` more is done. */
  advance(amount: number): void;
  /** Over, with one line to remember it by. */
  done(summary?: string): void;
}

export interface StageOptions {
  readonly unit: 'bytes' | 'steps';
  readonly total: number;
}

/** What a long command says while it works. Stages may overlap. Implementations never write to stdout. */
export interface Reporter {
  stage(label: string, options: StageOptions): Stage;
  /** One line of information. */
  note(text: string): void;
  /** One line that a careful user should read. */
  warn(text: string): void;
  /** Leaves the terminal as it was: unfinished bars are dropped. */
  close(): void;
}

/** Says nothing: for callers that only want the result. */
export const silentReporter: Reporter = {
  stage: () => ({ advance() {}, done() {} }),
  note() {},
  warn() {},
  close() {},
};
