import { RuntimeError } from '../errors.ts';

/**
 * The same steps: a token is one of `vocabSize`, and `vocabSize` itself stands for a row whose logits are all NaN.
 * @throws RuntimeError `not_a_number` where a row has no token
 */
export async function* ofNumbers(
  steps: AsyncGenerator<readonly (number | undefined)[]>,
  { vocabSize }: { readonly vocabSize: number },
): AsyncGenerator<readonly (number | undefined)[]> {
  for await (const step of steps) {
    if (step.includes(vocabSize))
      throw new RuntimeError(
        'not_a_number',
        'the model computes NaN for every token',
        'convert with another --dtype, fp32 to be sure, or report it with this bundle',
      );
    yield step;
  }
}
