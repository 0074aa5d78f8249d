import type { Processor } from '../../backends/client/images/processor.ts';
import { bundleTokenizer, type BundleModel } from '../bundle/open_bundle.ts';
import { decodeImage } from '../images/decode.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { answer } from '../samples/answer.ts';
import { readSamples, type Sample } from '../samples/samples.ts';
import type { Reporter } from '../terminal/reporter.ts';

/** What the converted model said to a sample, beside the original. */
export interface SampleResult extends Sample {
  readonly answer: string;
  readonly same: boolean;
}

/** Asks an open bundle in `dir` the pictures and prompts of a file; none, with a warning, without a tokenizer. */
export async function askSamples(
  bundle: BundleModel,
  dir: string,
  file: string,
  {
    processor,
    inputs,
    signal,
  }: { readonly processor: Processor; readonly inputs: Inputs; readonly signal?: AbortSignal | undefined },
  reporter: Reporter,
): Promise<readonly SampleResult[]> {
  const tokenizer = await bundleTokenizer(dir, bundle.manifest);
  if (!tokenizer) {
    reporter.warn(`The samples in ${file} were not asked: the bundle has no tokenizer.`);
    return [];
  }
  const samples = await readSamples(file, inputs);
  const asking = reporter.stage('ask samples', { unit: 'steps', total: samples.length });
  const results: SampleResult[] = [];
  for (const sample of samples) {
    const image = await decodeImage(sample.image, { mode: processor.mode, inputs });
    const asked = { image, prompt: sample.prompt, processor, ...(signal && { signal }) };
    const { text } = await answer(bundle, tokenizer, asked);
    results.push({ ...sample, answer: text, same: text === sample.reference });
    asking.advance(1);
  }
  asking.done();
  return results;
}
