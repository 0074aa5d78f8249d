import { join } from 'node:path';
import { rolldown } from 'rolldown';

/**
 * One ES module for browsers of a source file and all that it imports, as a user's bundler makes it. Returns its file
 * name in `dir`.
 */
export async function bundlePageModule(source: string, dir: string, name: string): Promise<string> {
  // packages of tfjs offer themselves to Node first
  const bundle = await rolldown({
    input: source,
    platform: 'browser',
    logLevel: 'silent',
    resolve: { mainFields: ['module', 'browser', 'main'] },
  });
  await bundle.write({ file: join(dir, name), format: 'esm', codeSplitting: false });
  await bundle.close();
  return name;
}
