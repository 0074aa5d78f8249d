import { RuntimeError } from '../errors.ts';

/** One call at a time: a second one is refused while the first is at work. */
export class Turn {
  #owner: object | undefined;

  /** What gives it back, once or again. @throws RuntimeError `bad_input` while it is somebody's */
  take(): () => void {
    if (this.#owner)
      throw new RuntimeError(
        'bad_input',
        'the model is at work',
        'wait for the call before; an iterator that is left midway ends with its return(), or its signal',
      );
    const own = {};
    this.#owner = own;
    return () => {
      if (this.#owner === own) this.#owner = undefined;
    };
  }
}
