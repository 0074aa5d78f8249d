import { nibbleCodec } from './integer.ts';

/** 4-bit two's complement, packed. */
export const i4 = nibbleCodec('i4', -8, 7);
