/** Work with a known amount: bytes of files, or steps. */
export interface Stage {
  /** `amount` more is done. */
  advance(amount: number, detail?: StageDetail): void;
  /** Over, with one line to remember it by. */
  done(summary?: string): void;
}

/** What else is known of a stage. */
export interface StageDetail {
  /** What is at work. */
  readonly text?: string;
  /** Of the whole stage, where the one who works knows better than a rate. */
  readonly secondsLeft?: number;
  /** Whether that is of a part of it, and nobody knows how long the rest takes. */
  readonly isLeast?: boolean;
}

export interface StageOptions {
  /** `work`: in units that mean nothing to people, as multiplications. `wait`: nothing is known but the name. */
  readonly unit: 'bytes' | 'steps' | 'work' | 'wait';
  /** Of its units. */
  readonly total: number;
}

/** What a long command says while it works. Stages may overlap. Implementations never write to stdout. */
export interface Reporter {
  /** Begins one, which is shown until it is done. */
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
