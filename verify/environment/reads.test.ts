import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/*
 * A file that somebody else made is opened by backends/regular_file.js or converter/inputs, which wait for no FIFO,
 * open no device and, of inputs, look at the end of a run whether they are what they were. Nothing else opens files.
 */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Others, and why they may. */
const OTHERS: Readonly<Record<string, string>> = {
  'backends/regular_file.js': 'it is the way',
  'backends/client/sources/open_source.ts': 'looks by insideFolder first: a page has no node:fs to import',
  'backends/client/images/picture.ts': 'looks first, as it says',
  'backends/browser/static_server.ts': 'serves what lies in folders that were given, and looks first',
  'backends/onnx/node_placement.ts': 'reads what ONNX Runtime wrote to a folder of our own',
  'backends/tfjs/check/installed.ts': 'reads packages that are installed',
  'converter/quality/tensor_store.ts': 'reads what it wrote to a folder of its own',
  'converter/bundle/lock.ts': 'reads /proc',
  'converter/cli/standard_input.ts': 'reads what is piped in, which has no path',
  'converter/version.ts': 'reads our package.json',
  'converter/threads/kernels_module.ts': 'reads what our build made',
};

const READS =
  /\b(?:readFile|readFileSync|openSync|createReadStream|openAsBlob)\b|\bopen\b[^;]*\bfrom 'node:fs|\bfs\.open\(/;

test('files are opened to be read in one way', () => {
  const sources = execFileSync('git', ['ls-files', 'ir', 'backends', 'verify', 'converter'], { cwd: ROOT })
    .toString()
    .split('\n')
    .filter(
      (path) =>
        /\.(?:ts|js)$/.test(path) &&
        !/\.test\.ts$|\/testing\/|^converter\/(?:bench|packing|e2e|disk\.js|record\/copy_script)|^verify\/environment\/|_page\.ts$/.test(
          path,
        ),
    );
  const reading = sources.filter((path) =>
    READS.test(readFileSync(join(ROOT, path), 'utf8').replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')),
  );
  expect(reading.toSorted()).toEqual(Object.keys(OTHERS).toSorted());
});
