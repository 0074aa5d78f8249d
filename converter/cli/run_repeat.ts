import { cocoRle } from '../../backends/client/answers/coco_rle.ts';
import type { parseAnswer } from '../../backends/client/answers/parse_answer.ts';
import type { PixelMode } from '../../backends/client/images/processor.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { EXIT } from '../errors.ts';
import type { wholeMask } from '../images/mask_files.ts';
import type { SeenObject } from '../samples/answer_masks.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { failureOf } from './exit.ts';
import { printedLine, type Io } from './io.ts';
import type { CommandResult } from './options.ts';

/** What is asked of each picture. */
export interface Repeating {
  readonly every: number;
  readonly mode: PixelMode;
  readonly signal: AbortSignal | undefined;
  ask(picture: RgbImage): Promise<{
    readonly text: string;
    readonly tokens: readonly number[];
    readonly answered: ReturnType<typeof parseAnswer>;
    readonly seen: readonly SeenObject[];
  }>;
}

/**
 * `run --repeat`: one model, one picture after the other, a line of JSON each as soon as it is there. A picture that
 * cannot be read is a line that says so, and the others are asked about all the same.
 */
export async function repeated(
  io: Io,
  result: CommandResult,
  path: string,
  reporter: Reporter,
  { every, mode, signal, ask }: Repeating,
): Promise<void> {
  const [{ framesOf }, { decodeImage }, { wholeMask: whole }] = await Promise.all([
    import('../images/frames.ts'),
    import('../images/decode.ts'),
    import('../images/mask_files.ts'),
  ]);
  const { files, dispose } = await framesOf(path, every, signal && { signal });
  const stage = reporter.stage(`answer ${files.length} pictures`, { unit: 'steps', total: files.length });
  try {
    for (const file of files) {
      signal?.throwIfAborted();
      try {
        const picture = await decodeImage(file, { mode });
        const { text, tokens, answered, seen } = await ask(picture);
        const { problems } = answered;
        const boxes = boxesOf(seen, picture, whole);
        io.out(printedLine('run', { pictures: [file], text, tokens, boxes, problems }));
      } catch (error) {
        const failure = signal?.aborted ? undefined : failureOf(error);
        if (!failure || failure.exitCode !== EXIT.badInput) throw error;
        io.out(printedLine('error', { error: { ...failure.report, file } }));
        result.exitCode = EXIT.badInput;
      }
      stage.advance(1);
    }
  } finally {
    stage.done();
    await dispose();
  }
}

/** Objects as `--json` prints them. */
export function boxesOf(seen: readonly SeenObject[], picture: RgbImage, whole: typeof wholeMask) {
  return seen.map(({ name, y0, x0, y1, x1, mask }) => ({
    label: name,
    y0,
    x0,
    y1,
    x1,
    ...(mask && { mask: cocoRle(whole({ y0, x0, y1, x1, mask }, picture), picture) }),
  }));
}
