import type { ProgramMetadata } from '../ir/graph.ts';

/** `modelRefusal` of backends whose runtimes generate text. */
export function answersOnly({ retrievalWidth }: ProgramMetadata): string | undefined {
  return retrievalWidth === undefined
    ? undefined
    : 'this is a ColPali, which gives vectors for retrieval, and their runtime gives answers';
}
