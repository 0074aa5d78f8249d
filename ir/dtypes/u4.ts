import { nibbleCodec } from './integer.ts';

/** 4-bit unsigned, packed. */
export const u4 = nibbleCodec('u4', 0, 15);
