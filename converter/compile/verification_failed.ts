import type { VerifyReport } from '../../verify/verify.ts';
import { ParityError } from '../errors.ts';

const AGAIN =
  'convert again; if it fails again, the precision may not hold these weights (try more bits: --mixed auto, --dtype int8, fp16 or fp32), or it is a fault of pgconv: please report it';
const RECORDED =
  'see whether --against is a recording of this checkpoint, and record again; if it fails again, the precision may not hold these weights (try more bits: --mixed auto, --dtype int8, fp16 or fp32), or pgconv reads them otherwise than the original: please report it';

/** The bundle does not compute what its reference computes; the report says where it differs. */
export class VerificationFailed extends ParityError {
  readonly report: VerifyReport;

  constructor(report: VerifyReport) {
    const stage = report.firstDivergingStage;
    const pass = report.bisection?.fault?.pass;
    super(
      'parity_failed',
      `the bundle does not compute what the original computes${stage ? `; the first stage that differs is ${stage.stage}` : ''}${pass === undefined ? '' : `; the first pass that changed values is ${pass}`}`,
      { hint: report.recorded === undefined ? AGAIN : RECORDED },
    );
    this.report = report;
  }
}
