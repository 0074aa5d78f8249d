/** The compiler for programs: `import { convert, inspect, verify } from 'pgconv'`. */
export { convert, inspect, verify } from './library.ts';
export type { ConvertRequest, Heard, InspectRequest, Inspection, VerifyRequest } from './library.ts';
export type { ConvertResult } from './compile/convert.ts';
export type { VerifyReport } from '../verify/verify.ts';
export type { Reporter, Stage, StageDetail, StageOptions } from './terminal/reporter.ts';
export { BadInputError, OutputError, ParityError, PgconvError, UsageError } from './errors.ts';
export type { ErrorPlace, ErrorReport } from './errors.ts';
