import { bytesText } from '../../../backends/bytes_text.ts';
import { tableText } from '../../terminal/table.ts';
import type { CalibrationMeasurement } from './measure.ts';
import type { Mean } from './paired.ts';

/** One line of a log. */
export function lineOf({
  model,
  backend,
  precision,
  plain,
  calibrated,
  difference,
  isWorse,
}: CalibrationMeasurement): string {
  return `${model}, ${backend} ${precision}: ${meanText(plain)}, calibrated ${meanText(calibrated)}, difference ${meanText(difference)}${isWorse ? ': WORSE' : ''}`;
}

/** As a table. */
export function calibrationReport(measured: readonly CalibrationMeasurement[]): string {
  const worse = measured.filter(({ isWorse }) => isWorse);
  return `KL divergence from f32 on pictures that chose nothing; ${measured.length} pairs of bundles, ${worse.length} with worse codes for calibration\n${tableText(
    [
      'model',
      'as its parent',
      'positions',
      'bundle',
      'size',
      'KLD',
      'size, calibrated',
      'KLD, calibrated',
      'difference',
      '',
    ],
    measured.map((m) => [
      m.model,
      `${m.asParent} of ${m.cases}`,
      m.positions,
      `${m.backend} ${m.precision}`,
      bytesText(m.bytes.plain),
      meanText(m.plain),
      bytesText(m.bytes.calibrated),
      meanText(m.calibrated),
      meanText(m.difference),
      m.isWorse ? 'WORSE' : 'ok',
    ]),
    [1, 2, 4, 5, 6, 7, 8],
  )}`;
}

function meanText({ mean, error }: Mean): string {
  return `${mean.toExponential(2)} ±${error.toExponential(0)}`;
}
