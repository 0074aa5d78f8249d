import { Command, Option } from 'commander';
import { BadInputError, UsageError } from '../errors.ts';
import { parseAnswer } from '../../backends/client/answers/parse_answer.ts';
import { placeBox } from '../../backends/client/answers/place_box.ts';
import { PIXEL_MODES, PROCESSORS, type PixelMode } from '../../backends/client/images/processor.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { printed, type Io } from './io.ts';
import { collecting } from './repeats.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import {
  jsonOption,
  wholeNumber,
  withCheck,
  withDevice,
  type CheckFlags,
  type CommandResult,
  type DeviceFlags,
} from './options.ts';
import { prepareOutputs, type Kept } from './output_files.ts';
import { tableLines } from '../terminal/table.ts';
import { withWait } from '../terminal/waiting.ts';
import { RUN_HELP } from './help/run.ts';
import { unwrittenField, writing } from './unwritten.ts';

interface Flags extends DeviceFlags, CheckFlags {
  readonly image?: readonly string[];
  readonly frames?: string;
  readonly every?: number;
  readonly prompt: string;
  readonly maxNewTokens: number;
  readonly draw?: string;
  readonly resize?: PixelMode;
  readonly json?: boolean;
}

/** `pgconv run`. */
export function runCommand(io: Io, result: CommandResult): Command {
  const command = new Command('run')
    .description('Ask a bundle about a picture, or several.')
    .argument('<bundle>', 'folder that `pgconv convert` wrote')
    .addOption(
      collecting('--image <file>', 'the picture: PNG, JPEG, WebP, …; again for each of several', (text) => text),
    )
    .option('--frames <path>', 'several pictures: a folder of them, or a video (with ffmpeg)')
    .option('--every <n>', 'of --frames each n-th (default: 1)', wholeNumber(1))
    .requiredOption('--prompt <text>', 'what to ask')
    .option('--max-new-tokens <n>', 'longest answer, where the model has room for it', wholeNumber(1), 100)
    .option('--draw <file>', 'write the picture with the boxes drawn on it, as PNG')
    .addOption(
      new Option(
        '--resize <whose>',
        'whose preprocessing (default: that of the --reference that the bundle was converted with)',
      ).choices([...PIXEL_MODES]),
    )
    .addOption(jsonOption());
  return withCheck(withDevice(command))
    .addHelpText('after', RUN_HELP)
    .action(async (bundle: string, flags: Flags) => {
      const [
        { answer },
        { bundleBackend, bundleProcessor, bundleTokenizer },
        { whileChecked },
        { readManifest },
        { drawBoxes },
        { findDevice, openChosen },
      ] = await Promise.all([
        import('../samples/answer.ts'),
        import('../bundle/open_bundle.ts'),
        import('../bundle/while_checked.ts'),
        import('../bundle/manifest.ts'),
        import('../images/draw.ts'),
        import('../compile/opening.ts'),
      ]);
      const { draw } = flags;
      checkPictures(flags);
      const undo =
        draw === undefined
          ? async () => {}
          : await prepareOutputs([{ option: '--draw', path: draw }], await keptBy(bundle, flags));
      const reporter = io.reporter();
      try {
        const manifest = await readManifest(bundle);
        const choice = { check: flags.check, signal: io.signal };
        const { picture, files, text, tokens } = await whileChecked(bundle, manifest, choice, async (signal) => {
          const own = await bundleProcessor(bundle, manifest);
          const processor = flags.resize === undefined || flags.resize === own.mode ? own : PROCESSORS[flags.resize];
          if (manifest.program.retrievalWidth !== undefined)
            throw new UsageError('not_for_answers', 'this is a ColPali: it gives vectors for retrieval, not answers', {
              file: bundle,
              hint: 'its README.md shows how to rank pages with it',
            });
          const tokenizer = await bundleTokenizer(bundle, manifest);
          if (!tokenizer)
            throw new BadInputError('no_tokenizer', 'the bundle has no tokenizer', {
              file: bundle,
              hint: 'convert again with --tokenizer tokenizer.model',
            });
          const { pictures, files } = await decoded(flags, { ...manifest, tokenizer, mode: processor.mode, signal });
          const [picture] = pictures as readonly [RgbImage];
          const chosen = await findDevice(await bundleBackend(bundle, manifest), flags, reporter);
          const model = await openChosen(bundle, manifest, chosen, reporter);
          try {
            const { prompt, maxNewTokens } = flags;
            const said = await withWait(reporter, 'answer', () =>
              answer(model, tokenizer, { image: pictures, prompt, maxNewTokens, processor, signal }),
            );
            return { picture, files, ...said };
          } finally {
            await model.dispose();
          }
        });
        reporter.close();
        const { objects, problems } = parseAnswer(text);
        const placed = objects.map(({ name, box }) => ({ name, ...placeBox(box, picture) }));
        if (files.length > 1) io.err(`asked about ${files.length} pictures: ${listed(files)}`);
        if (placed.length > 0 && files.length > 1)
          io.err('note: the answer does not say of which picture: pixels of boxes are the first one’s');
        for (const { message, text: part } of problems) io.err(`warning: "${part}": ${message}`);
        const isDrawn = draw !== undefined && (await writing(result, () => drawBoxes(picture, placed, draw)));
        if (flags.json)
          return io.out(
            printed('run', {
              pictures: files,
              text,
              tokens,
              boxes: placed.map(({ name, ...box }) => ({ label: name, ...box })),
              problems,
              ...(isDrawn && { drawn: draw }),
              ...unwrittenField(result),
            }),
          );
        io.out(text.split('\n'));
        if (placed.length > 0)
          io.out(
            tableLines(
              ['label', 'x0', 'y0', 'x1', 'y1'],
              placed.map((b) => [b.name, b.x0, b.y0, b.x1, b.y1]),
              [1, 2, 3, 4],
            ),
          );
        if (isDrawn) io.err(`drawn: ${draw}`);
      } finally {
        reporter.close();
        await undo();
      }
    });
}

/** @throws UsageError for options that say no picture, or that do not go together */
function checkPictures({ image = [], frames, every, draw }: Flags): void {
  if (image.length === 0 && frames === undefined)
    throw new UsageError('no_picture', 'no picture is named', {
      hint: 'name one with --image, or several with --frames',
    });
  if (every !== undefined && frames === undefined)
    throw new UsageError('every_without_frames', '--every is of --frames', { hint: 'leave it out, or name --frames' });
  if (draw !== undefined && (image.length > 1 || frames !== undefined))
    throw new UsageError('draw_on_several', '--draw draws on one picture, and there are several', {
      hint: 'leave it out, or ask about one picture',
    });
}

interface Asking {
  readonly program: ProgramMetadata;
  readonly tokenizer: Tokenizer;
  readonly mode: PixelMode;
  readonly signal: AbortSignal | undefined;
}

/**
 * Pictures in the order in which they are asked about: those of --image, then those of --frames. None is decoded where
 * they do not fit. @throws UsageError `too_many_pictures`; what reading them throws
 */
async function decoded(
  { image = [], frames, every = 1, prompt }: Flags,
  { program, tokenizer, mode, signal }: Asking,
): Promise<{ readonly pictures: readonly RgbImage[]; readonly files: readonly string[] }> {
  const [{ decodeImage }, { framesOf }, { promptOfPictures }] = await Promise.all([
    import('../images/decode.ts'),
    import('../images/frames.ts'),
    import('../samples/answer.ts'),
  ]);
  // of a video one more than fits says that it does not
  const most = 1 + Math.floor(program.maxPositions / program.imageTokens);
  const unpacked =
    frames === undefined ? undefined : await framesOf(frames, every, { most, ...(signal && { signal }) });
  try {
    const files = [...image, ...(unpacked?.files ?? [])];
    promptOfPictures(tokenizer, program, { prompt, images: files.length, mode });
    const pictures: RgbImage[] = [];
    for (const file of files) pictures.push(await decodeImage(file, { mode }));
    return { pictures, files };
  } finally {
    await unpacked?.dispose();
  }
}

function listed(files: readonly string[]): string {
  return files.length > 4 ? `${files.slice(0, 3).join(', ')}, … ${files.at(-1)!}` : files.join(', ');
}

/** What a drawn picture must leave alone. */
async function keptBy(bundle: string, { image = [], browser }: Flags): Promise<Kept> {
  const { filesRead } = await import('./input_files.ts');
  const pictures = image.map((file, i) => [i === 0 ? 'the picture' : `picture ${i + 1}`, file] as const);
  const files = { ...Object.fromEntries(pictures), 'the browser': browser };
  return { reads: await filesRead({ bundles: [bundle], files }), bundles: [bundle] };
}
