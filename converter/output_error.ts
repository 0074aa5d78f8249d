import { OutputError } from './errors.ts';

/** What the operating system's refusals mean for somebody who wants a file written. */
const MEANINGS: Readonly<Record<string, { code: string; message: string; hint: string }>> = {
  ENOSPC: {
    code: 'disk_full',
    message: 'the disk is full',
    hint: 'free some space, or choose another disk with {option}',
  },
  EDQUOT: {
    code: 'disk_full',
    message: 'the disk quota is used up',
    hint: 'free some space, or choose another disk with {option}',
  },
  EFBIG: {
    code: 'file_too_large',
    message: 'the file system or a limit of the shell (ulimit -f) does not allow a file this large',
    hint: 'choose another disk with {option}, or raise the limit',
  },
  EACCES: {
    code: 'not_writable',
    message: 'permission denied',
    hint: 'choose a folder that you can write to with {option}',
  },
  EPERM: {
    code: 'not_writable',
    message: 'operation not permitted',
    hint: 'choose a folder that you can write to with {option}',
  },
  EROFS: { code: 'not_writable', message: 'the file system is read-only', hint: 'choose another disk with {option}' },
  ENOENT: {
    code: 'parent_missing',
    message: 'the folder does not exist',
    hint: 'make the folder first, or choose another with {option}',
  },
  ENOTDIR: {
    code: 'parent_missing',
    message: 'a part of the path is a file, not a folder',
    hint: 'choose another path with {option}',
  },
  ENAMETOOLONG: {
    code: 'name_too_long',
    message: 'the name is too long for this file system',
    hint: 'choose a shorter name with {option}',
  },
  EISDIR: { code: 'not_writable', message: 'a folder is there', hint: 'name a file with {option}' },
  EIO: {
    code: 'write_failed',
    message: 'the disk reports an input/output error',
    hint: 'check the disk, or choose another with {option}',
  },
};

/**
 * A failure to write `file` as a typed error, whose hint names what chooses another place: an option, a variable of the
 * environment. Errors that are typed already, or do not come from the system, pass through.
 */
export function outputError(error: unknown, file: string, option = '--out'): Error {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code))
    return error instanceof Error ? error : new Error(String(error));
  const meaning = MEANINGS[code] ?? {
    code: 'write_failed',
    message: `the system says ${code}`,
    hint: 'choose another place with {option}',
  };
  return new OutputError(
    meaning.code,
    `cannot write: ${meaning.message}`,
    { file, hint: meaning.hint.replace('{option}', option) },
    { cause: error },
  );
}
