export { verifiedFetch, type Fetch, type FetchOptions, type VerifiedFetch } from './verified_fetch.ts';
export { verifiedCache, type ResponseCache } from './verified_cache.ts';
export { checkBundle, checkFile, type CheckedFiles, type CheckOptions } from './check_files.ts';
export type { BundleLocation } from '../sources/open_source.ts';
export { RuntimeError, type RuntimeErrorCode } from '../errors.ts';
