/** Pillow's threshold for DecompressionBombError: twice a quarter of 1 GiB over 3 bytes. */
export const MAX_PIXELS = 178_956_970;
