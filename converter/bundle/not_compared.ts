/** Why a finished bundle could not be compared: nothing is known against it, so it is kept beside its place. */
export class NotCompared extends Error {
  override readonly name = 'NotCompared';

  constructor(cause: unknown) {
    super('the bundle could not be compared', { cause });
  }
}
