import { elementwise, floating } from './elementwise.ts';

/** erf by its Maclaurin series near 0 and the continued fraction of erfc beyond (Abramowitz & Stegun 7.1.6, 7.1.14). */
function erfOf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) sum += term *= (2 * x * x) / (2 * n + 1);
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

export const erf = elementwise({
  name: 'erf',
  doc: 'The error function.',
  operands: ['x'],
  castPolicy: 'keep f32',
  accepts: floating,
  f: (x) => erfOf(x),
});
