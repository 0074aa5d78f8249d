import type { DType } from '../dtypes/index.ts';
import { FORMAT_NAMES, formats, type FormatName } from '../formats/index.ts';

/** The format of affine codes of this dtype. */
export function affineFormat(codes: DType): FormatName {
  const found = FORMAT_NAMES.find((name) => !formats[name].codebook && formats[name].codes.includes(codes));
  if (!found) throw new Error(`no affine codes are ${codes}`);
  return found;
}
