import type { PreparedFiles } from '../../backends/client_files.ts';
import { processorFrom, type PixelMode, type Processor } from '../../backends/client/images/processor.ts';

/**
 * How a bundle with these files wants pictures and prompts.
 * @throws BadInputError for a damaged preprocessor_config.json
 */
export function checkpointProcessor(prepared: Pick<PreparedFiles, 'preprocessor'>, mode: PixelMode): Processor {
  const { name, text } = prepared.preprocessor().value;
  return processorFrom(mode, JSON.parse(text) as object, name);
}
