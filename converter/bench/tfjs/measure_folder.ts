import { openSource } from '../../../backends/client/sources/open_source.ts';
import { readBundle } from '../../../backends/tfjs/driver/bundle.ts';
import { load } from '../../../backends/tfjs/driver/index.ts';
import { plannedMemory } from '../../../backends/tfjs/driver/planned_memory.ts';
import { nodeTfjs, type TfDevice } from '../../../backends/tfjs/node_tfjs.ts';
import { PLAN_PATH } from '../../../backends/tfjs/plan.ts';
import { tableText } from '../../terminal/table.ts';
import { bytesText } from '../../../backends/bytes_text.ts';
import { benchPrompt } from '../gpu/side.ts';
import { tfjsSide } from './tfjs_side.ts';

export interface FolderRun {
  readonly device: TfDevice;
  readonly promptTokens: number;
  readonly steps: number;
}

/**
 * What a bundle of any size takes: its files, what loading it needs beside what was planned, and one run with a
 * picture. Stages are told as they end.
 */
export async function measureFolder(
  dir: string,
  { device, promptTokens, steps }: FolderRun,
  tell: (line: string) => void,
): Promise<void> {
  const { plan, sizes, ...bundle } = await readBundle(openSource(dir, PLAN_PATH));
  const { stored, loaded, peak } = plannedMemory(bundle);
  tell(
    tableText(
      ['file', 'size'],
      [...sizes].map(([path, bytes]) => [path, bytesText(bytes)]),
      [1],
    ),
  );
  tell(
    `${plan.model.variant}, ${plan.precision}, profile ${plan.profile}: ${sizes.size} files, ${bytesText([...sizes.values()].reduce((sum, bytes) => sum + bytes, 0))}; weights ${bytesText(stored)}, ${bytesText(loaded)} in tfjs; planned peak ${bytesText(peak)}`,
  );
  const tf = await nodeTfjs(device);
  const before = process.memoryUsage.rss();
  const grown = () => bytesText(process.resourceUsage().maxRSS * 1024 - before);
  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const begun = performance.now();
    const result = await work();
    tell(`${what}: ${((performance.now() - begun) / 1000).toFixed(1)} s; the process has grown by ${grown()} at most`);
    return result;
  };
  const model = await timed(`load into tfjs ${tf.version_core} ${device}`, () => load(dir, { tf }));
  const side = tfjsSide('tfjs', tf, model);
  const { pixels, tokens } = benchPrompt(model.facts, promptTokens);
  await timed('encode a picture', () => side.encode(pixels));
  await timed(`prefill of ${tokens.length} tokens`, () => side.prefill(tokens));
  const { data } = await model.logits();
  if (!data.every(Number.isFinite)) throw new Error('logits are not finite');
  const said = await timed(`${steps} tokens after the first`, () => side.decode(steps));
  tell(`logits are finite; greedy tokens ${said.join(' ')}`);
  await side.close();
}
