import { join } from 'node:path';
import { differenceText } from '../../verify/weights/report.ts';
import type { WeightsReport } from '../../verify/weights/verify_weights.ts';
import { ParityError } from '../errors.ts';

/** A stored weight is not the checkpoint's; the report lists the first element of each that differs. */
export class WeightsDiffer extends ParityError {
  readonly report: WeightsReport;

  constructor(dir: string, report: WeightsReport) {
    const [first] = report.differences;
    const [problem] = report.problems;
    const more = report.differences.length + report.problems.length - 1;
    super(
      'weights_differ',
      `the bundle does not hold the checkpoint's weights: ${first ? differenceText(first) : problem}${more > 0 ? `; and ${more} more` : ''}`,
      {
        file: first ? join(dir, first.file) : dir,
        ...(first && { tensor: first.tensor, offset: first.offset }),
        hint: 'convert again; if it fails again, it is a fault of the disk, of the memory or of pgconv: please report it',
      },
    );
    this.report = report;
  }
}
