import { describe, expect, it } from 'vitest';
import { unsafePathReason } from './bundle_path.ts';

describe('a path of a manifest', () => {
  it.each([
    'model.onnx',
    'onnx/decoder_model_merged.onnx_data',
    'a b.json',
    '.gitattributes',
    'a..b',
    'console',
    'com',
    'lpt',
    'com10x',
    'prnt.txt',
    'a.nul',
    'é/雪.bin',
  ])('%j is safe', (path) => expect(unsafePathReason(path)).toBeUndefined());

  it.each([
    ['', 'it is empty'],
    ['/etc/passwd', 'it is absolute'],
    ['a\\b', 'it has a backslash'],
    ['C:x', 'it has a colon'],
    ['a:stream', 'it has a colon'],
    ['a\u0000b', 'it has a control character'],
    ['a\nb', 'it has a control character'],
    ['a\u001fb', 'it has a control character'],
    ['a\u007fb', 'it has a control character'],
    ['a//b', 'it has an empty part'],
    ['a/', 'it has an empty part'],
    ['./a', 'it has a part "."'],
    ['a/.', 'it has a part "."'],
    ['../a', 'it has a part ".."'],
    ['a/../b', 'it has a part ".."'],
    ['a./b', 'a part ends with a dot or a space'],
    ['a /b', 'a part ends with a dot or a space'],
    ['a/b.', 'a part ends with a dot or a space'],
    ['nul', '"nul" is a device on Windows'],
    ['a/NUL', '"NUL" is a device on Windows'],
    ['Con.txt', '"Con.txt" is a device on Windows'],
    ['prn.tar.gz', '"prn.tar.gz" is a device on Windows'],
    ['aux/x', '"aux" is a device on Windows'],
    ['com1', '"com1" is a device on Windows'],
    ['LPT9.bin', '"LPT9.bin" is a device on Windows'],
  ])('%j: %s', (path, reason) => expect(unsafePathReason(path)).toBe(reason));
});
