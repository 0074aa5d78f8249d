import { table } from '../commands/table.ts';
import { FLAVOURS, type DecodingMeasurement } from './decode_speed.ts';
import { medianOf } from './median.ts';

/** What fusion is for: tokens a second beside a graph without it. */
const GOAL = 1.3;

/** Medians with ranges (`products` by itself is the most that fusing could reach), and the ratio to the plain graph by wall time and by CPU time. */
export function decodingReport(measured: readonly DecodingMeasurement[], title: string): string {
  const contexts = [...new Set(measured.map((m) => m.context))];
  const rows = contexts.flatMap((context) => {
    const own = measured.filter((m) => m.context === context);
    const plain = own.find((m) => m.flavour === 'plain')!;
    const most = medianOf(plain.milliseconds) / medianOf(own.find((m) => m.flavour === 'products')!.milliseconds);
    return FLAVOURS.map((flavour) => {
      const { milliseconds, cpuMilliseconds } = own.find((m) => m.flavour === flavour)!;
      const ratio = medianOf(plain.milliseconds) / medianOf(milliseconds);
      const cpuRatio = medianOf(plain.cpuMilliseconds) / medianOf(cpuMilliseconds);
      const range = `${(1000 / Math.max(...milliseconds)).toFixed(2)} to ${(1000 / Math.min(...milliseconds)).toFixed(2)}`;
      const verdict = flavour !== 'fused' ? '' : ratio >= GOAL ? 'ok' : most < GOAL ? 'no fusion can' : 'below the goal';
      return [String(context), flavour, (1000 / medianOf(milliseconds)).toFixed(2), range, ratio.toFixed(2), cpuRatio.toFixed(2), verdict];
    });
  });
  const head = ['tokens in cache', 'graph', 'tokens/s', 'range', '÷ plain', 'by CPU time', ''];
  return `Decoder on onnxruntime cpu: ${title}; medians of interleaved steps; goal: fused ≥ ${GOAL} × plain\n${table(head, rows, [0, 2, 3, 4, 5])}`;
}
