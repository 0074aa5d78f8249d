import { tableText } from '../terminal/table.ts';
import { FLAVOURS, type DecodingMeasurement } from './decode_speed.ts';
import { medianOf } from '../compile/median.ts';

/** What fusion is for: tokens a second beside a graph without it. */
const GOAL = 1.3;

/**
 * Medians and ratios to the plain graph, round by round, and both of the fastest steps, which other processes disturbed
 * least. The goal is met by both; the fastest step of `products` is the least that fusing could reach.
 */
export function decodingReport(measured: readonly DecodingMeasurement[], title: string): string {
  const contexts = [...new Set(measured.map((m) => m.context))];
  // products do not depend on what the cache holds
  const productsAlone = Math.min(...measured.filter((m) => m.flavour === 'products').flatMap((m) => m.milliseconds));
  const rows = contexts.flatMap((context) => {
    const own = new Map(measured.filter((m) => m.context === context).map((m) => [m.flavour, m]));
    const plain = own.get('plain')!;
    const most = Math.min(...plain.milliseconds) / productsAlone;
    return FLAVOURS.map((flavour) => {
      const { milliseconds, withCacheOut } = own.get(flavour)!;
      const ratio = ratioOf(plain.milliseconds, milliseconds);
      const out =
        withCacheOut.length === 0
          ? ['', '']
          : [rate(withCacheOut), ratioOf(plain.withCacheOut, withCacheOut).toFixed(2)];
      const fastest = Math.min(...milliseconds);
      const undisturbed = Math.min(...plain.milliseconds) / fastest;
      const verdict =
        flavour !== 'fused'
          ? ''
          : most < GOAL
            ? 'no fusion can'
            : Math.min(ratio, undisturbed) >= GOAL
              ? 'ok'
              : 'below the goal';
      return [
        String(context),
        flavour,
        rate(milliseconds),
        ratio.toFixed(2),
        rate([fastest]),
        undisturbed.toFixed(2),
        verdict,
        ...out,
      ];
    });
  });
  const head = [
    'tokens in cache',
    'graph',
    'tokens/s',
    '÷ plain',
    'fastest',
    '÷ plain',
    '',
    'cache to JavaScript',
    '÷ plain',
  ];
  return `Decoder on onnxruntime cpu: ${title}; medians of rounds of one step each; goal: fused ≥ ${GOAL} × plain\n${tableText(head, rows, [0, 2, 3, 4, 5, 7, 8])}`;
}

const rate = (milliseconds: readonly number[]) => (1000 / medianOf(milliseconds)).toFixed(2);

/** The median over rounds: a round's steps ran one after the other, on a machine as fast for each. */
function ratioOf(plain: readonly number[], own: readonly number[]): number {
  return medianOf(plain.map((milliseconds, i) => milliseconds / own[i]!));
}
