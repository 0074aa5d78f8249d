import type { ProgramMetadata } from '../../../ir/metadata.ts';
import { RuntimeError } from '../errors.ts';
import type { Processor } from '../images/processor.ts';
import { keptUnlessFailed } from '../kept.ts';
import type { BundleSource } from '../sources/source.ts';
import { openText, type Text } from './text.ts';

/** What a bundle says of pictures and text beside its graphs, read when it is first asked for. */
export class BundleText {
  /** How it wants pictures, and whose prompts. @throws RuntimeError `damaged` */
  readonly processor: () => Promise<Processor>;
  /** @throws RuntimeError `not_found` for a bundle without a tokenizer, `damaged` */
  readonly text: () => Promise<Text>;

  constructor(source: BundleSource, facts: ProgramMetadata) {
    this.processor = keptUnlessFailed(async () => (await import('../images/bundle_processor.ts')).processorOf(source));
    this.text = keptUnlessFailed(async () => {
      const { mode } = await this.processor();
      return openText(source, facts, mode).catch((error: unknown) => {
        throw error instanceof RuntimeError && error.code === 'not_found'
          ? new RuntimeError(
              'not_found',
              'this bundle has no tokenizer',
              'give ids to prefill, or convert again with --tokenizer',
              { cause: error },
            )
          : error;
      });
    });
  }
}
