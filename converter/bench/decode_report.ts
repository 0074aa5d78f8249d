import { table } from '../commands/table.ts';
import { FLAVOURS, type DecodingMeasurement } from './decode_speed.ts';
import { medianOf } from './median.ts';

/** What fusion is for: tokens a second beside a graph without it. */
const GOAL = 1.3;

/** Medians with ranges, and the ratio to the plain graph, round by round; that of `products` is the most that fusing could reach. */
export function decodingReport(measured: readonly DecodingMeasurement[], title: string): string {
  const contexts = [...new Set(measured.map((m) => m.context))];
  const rows = contexts.flatMap((context) => {
    const own = new Map(measured.filter((m) => m.context === context).map((m) => [m.flavour, m]));
    const plain = own.get('plain')!;
    const most = ratioOf(plain.milliseconds, own.get('products')!.milliseconds);
    return FLAVOURS.map((flavour) => {
      const { milliseconds, withCacheOut } = own.get(flavour)!;
      const ratio = ratioOf(plain.milliseconds, milliseconds);
      const verdict = flavour !== 'fused' ? '' : ratio >= GOAL ? 'ok' : most < GOAL ? 'no fusion can' : 'below the goal';
      const out = withCacheOut.length === 0 ? ['', ''] : [rate(withCacheOut), ratioOf(plain.withCacheOut, withCacheOut).toFixed(2)];
      return [String(context), flavour, rate(milliseconds), `${rate([Math.max(...milliseconds)])} to ${rate([Math.min(...milliseconds)])}`, ratio.toFixed(2), verdict, ...out];
    });
  });
  const head = ['tokens in cache', 'graph', 'tokens/s', 'range', '÷ plain', '', 'cache to JavaScript: tokens/s', '÷ plain'];
  return `Decoder on onnxruntime cpu: ${title}; medians of rounds of one step each; goal: fused ≥ ${GOAL} × plain\n${table(head, rows, [0, 2, 3, 4, 6, 7])}`;
}

const rate = (milliseconds: readonly number[]) => (1000 / medianOf(milliseconds)).toFixed(2);

/** The median over rounds: a round's steps ran one after the other, on a machine as fast for each. */
function ratioOf(plain: readonly number[], own: readonly number[]): number {
  return medianOf(plain.map((milliseconds, i) => milliseconds / own[i]!));
}
