/** Iterators that nobody has any more end as if they had been returned. */
const forgotten = new FinalizationRegistry<() => void>((end) => end());

/**
 * What `work` gives, with the turn from its first step to its end. It ends also when nobody asks for more: by
 * `return()`, by the signal, and at some time after the iterator was dropped.
 * @param take takes the turn, and gives what gives it back
 * @throws what `work` throws; the signal's reason, also where it came between two steps
 */
export function inTurn<T>(
  take: () => () => void,
  work: () => AsyncGenerator<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  // it knows nothing of the iterator, which could not be dropped otherwise
  const running: { end(): void } = { end() {} };
  const steps = stepsInTurn(take, work, signal, running);
  forgotten.register(steps, () => running.end());
  return steps;
}

async function* stepsInTurn<T>(
  take: () => () => void,
  work: () => AsyncGenerator<T>,
  signal: AbortSignal | undefined,
  running: { end(): void },
): AsyncGenerator<T, void, undefined> {
  const give = take();
  try {
    const steps = work();
    running.end = () => void steps.return(undefined).then(give, give);
    signal?.addEventListener('abort', running.end, { once: true });
    yield* steps;
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', running.end);
    give();
  }
}
