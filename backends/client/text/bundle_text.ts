import type { ProgramMetadata } from '../../../ir/metadata.ts';
import { RuntimeError } from '../errors.ts';
import type { PixelMode } from '../images/pixels.ts';
import { keptUnlessFailed } from '../kept.ts';
import type { BundleSource } from '../sources/source.ts';
import { processorOf } from './processor.ts';
import { openText, type Text } from './text.ts';

/** What a bundle says of pictures and text beside its graphs, read when it is first asked for. */
export class BundleText {
  /** Whose pictures and prompts it was made for. @throws RuntimeError `damaged` */
  readonly mode: () => Promise<PixelMode>;
  /** @throws RuntimeError `not_found` for a bundle without a tokenizer, `damaged` */
  readonly text: () => Promise<Text>;

  constructor(source: BundleSource, facts: ProgramMetadata) {
    this.mode = keptUnlessFailed(() => processorOf(source));
    this.text = keptUnlessFailed(async () => {
      const mode = await this.mode();
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
