const PICTURES = /\.(png|jpe?g|webp|gif|tiff?|avif)$/i;

/** Whether a file of a folder is taken for a picture, by its name. */
export function isPicture(name: string): boolean {
  return PICTURES.test(name);
}
