import { RuntimeError } from '../errors.ts';

/** One call at a time: a second one is refused while the first is at work. */
export class Turn {
  #taken = false;

  /** @throws RuntimeError `bad_input` while it is somebody's */
  take(): void {
    if (this.#taken)
      throw new RuntimeError(
        'bad_input',
        'the model is at work',
        'wait for the call before; an iterator that is left midway ends with its return()',
      );
    this.#taken = true;
  }

  give(): void {
    this.#taken = false;
  }
}
