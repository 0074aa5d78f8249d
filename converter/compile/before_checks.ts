import { untried, type Links } from '../../verify/links.ts';
import type { Conversion } from './open_conversion.ts';

/** What a bundle says of its links until they are tried: for good where nobody is to try them. */
export function beforeChecks({ verify }: Pick<Conversion, 'verify'>): Links {
  return untried(verify ? 'the comparison did not come to an end' : '--no-verify');
}
