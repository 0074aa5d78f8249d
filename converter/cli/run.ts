import { join } from 'node:path';
import { Command, Option } from 'commander';
import { UsageError } from '../errors.ts';
import { parseAnswer } from '../../backends/client/answers/parse_answer.ts';
import { PIXEL_MODES, PROCESSORS, type PixelMode } from '../../backends/client/images/processor.ts';
import type { RgbImage } from '../../backends/client/images/rgb_image.ts';
import { MAX_FILE_BYTES } from '../images/decode.ts';
import { fetchPicture, isUrl } from '../images/fetch_picture.ts';
import { boxesOf, repeated } from './run_repeat.ts';
import { samplingFlags, withSampling, type SamplingFlags } from './sampling_flags.ts';
import { standardInput } from './standard_input.ts';
import { printed, type Io } from './io.ts';
import { collecting } from './repeats.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import type { SeenObject } from '../samples/answer_masks.ts';
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
import { prepareOutputs, refuseTaken, type Kept } from './output_files.ts';
import type { TextTable } from '../../verify/text_table.ts';
import { table } from '../terminal/table.ts';
import { withWait } from '../terminal/waiting.ts';
import { RUN_HELP } from './help/run.ts';
import { unwrittenField, writing } from './unwritten.ts';

/** No model has positions for a longer one. */
const MAX_PROMPT_BYTES = 1 << 20;

interface Flags extends DeviceFlags, CheckFlags, SamplingFlags {
  readonly image?: readonly string[];
  readonly frames?: string;
  readonly every?: number;
  readonly repeat?: string;
  readonly prompt: string;
  readonly maxNewTokens: number;
  readonly draw?: string;
  readonly masks?: string;
  readonly resize?: PixelMode;
  readonly json?: boolean;
}

/** `pgconv run`. */
export function runCommand(io: Io, result: CommandResult): Command {
  const command = new Command('run')
    .description('Ask a bundle about a picture, or several.')
    .argument('<bundle>', 'folder that `pgconv convert` wrote')
    .addOption(
      collecting(
        '--image <file>',
        'the picture: PNG, JPEG, WebP, …, an address of the web, or - for standard input; again for each of several',
        (text) => text,
      ),
    )
    .option('--frames <path>', 'several pictures: a folder of them, or a video (with ffmpeg)')
    .option('--every <n>', 'of --frames each n-th (default: 1)', wholeNumber(1))
    .option('--repeat <path>', 'ask about each picture of a folder, or frame of a video, alone: a line of JSON each')
    .requiredOption('--prompt <text>', 'what to ask; - for standard input')
    .option('--max-new-tokens <n>', 'longest answer, where the model has room for it', wholeNumber(1), 100)
    .option('--draw <file>', 'write the picture with masks and boxes drawn on it, as PNG')
    .option('--masks <dir>', 'write the mask of each object of "segment …" there, as PNGs of the picture’s size')
    .addOption(
      new Option(
        '--resize <whose>',
        'whose preprocessing (default: that of the --reference that the bundle was converted with)',
      ).choices([...PIXEL_MODES]),
    )
    .addOption(jsonOption());
  return withCheck(withDevice(withSampling(command)))
    .addHelpText('after', RUN_HELP)
    .action(async (bundle: string, given: Flags) => {
      const [
        { answer },
        { bundleBackend, bundleProcessor, requireAnswers, requireTokenizer },
        { whileChecked },
        { readManifest },
        { drawBoxes },
        { findDevice, openChosen },
        { masksOf, seenIn },
        { requireEmpty, wholeMask, writeMasks },
      ] = await Promise.all([
        import('../samples/answer.ts'),
        import('../bundle/open_bundle.ts'),
        import('../bundle/while_checked.ts'),
        import('../bundle/manifest.ts'),
        import('../images/draw.ts'),
        import('../compile/opening.ts'),
        import('../samples/answer_masks.ts'),
        import('../images/mask_files.ts'),
      ]);
      const { draw, masks: masksFolder } = given;
      checkPictures(given);
      const sampling = samplingFlags(given);
      const flags = given.prompt === '-' ? { ...given, prompt: await piped() } : given;
      if (masksFolder !== undefined) await requireEmpty(masksFolder);
      const outputs = [
        ...(draw === undefined ? [] : [{ option: '--draw', path: draw }]),
        // the first of its files stands for the folder
        ...(masksFolder === undefined ? [] : [{ option: '--masks', path: join(masksFolder, '00.png') }]),
      ];
      const kept = outputs.length === 0 ? { reads: [], bundles: [] } : await keptBy(bundle, flags);
      if (draw !== undefined && masksFolder !== undefined)
        await refuseTaken(
          [
            { option: '--draw', path: draw },
            { option: '--masks', path: masksFolder },
          ],
          kept,
        );
      const undo = await prepareOutputs(outputs, kept);
      const reporter = io.reporter();
      try {
        const manifest = await readManifest(bundle);
        const choice = { check: flags.check, signal: io.signal };
        const asked = await whileChecked(bundle, manifest, choice, async (signal) => {
          const own = await bundleProcessor(bundle, manifest);
          const processor = flags.resize === undefined || flags.resize === own.mode ? own : PROCESSORS[flags.resize];
          requireAnswers(bundle, manifest);
          const tokenizer = await requireTokenizer(bundle, manifest);
          // what does not fit is told before anything is opened
          const early =
            flags.repeat === undefined
              ? await decoded(flags, { ...manifest, tokenizer, mode: processor.mode, signal })
              : undefined;
          const chosen = await findDevice(await bundleBackend(bundle, manifest), flags, reporter);
          const model = await openChosen(bundle, manifest, chosen, reporter);
          try {
            const { prompt, maxNewTokens, stop: stopStrings } = flags;
            const asked = { prompt, maxNewTokens, processor, sampling, ...(stopStrings && { stopStrings }), signal };
            if (flags.repeat !== undefined) {
              await repeated(io, result, flags.repeat, reporter, {
                ...{ every: flags.every ?? 1, mode: processor.mode, signal },
                ask: async (image) => {
                  const said = await answer(model, tokenizer, { ...asked, image });
                  const answered = parseAnswer(said.text);
                  return {
                    ...said,
                    answered,
                    seen: seenIn(image, answered.objects, await masksOf(model, answered.objects)),
                  };
                },
              });
              return undefined;
            }
            const { pictures, files } = early!;
            const [picture] = pictures as readonly [RgbImage];
            const stream = flags.json ? undefined : io.stream;
            const said = await (stream
              ? answer(model, tokenizer, {
                  ...asked,
                  image: pictures,
                  onPiece: (piece) => {
                    reporter.close();
                    stream(piece);
                  },
                })
              : withWait(reporter, 'answer', () => answer(model, tokenizer, { ...asked, image: pictures })));
            const answered = parseAnswer(said.text);
            const masks = await masksOf(model, answered.objects);
            return { picture, files, ...said, answered, masks, canMask: model.metadata.maskSize !== undefined };
          } finally {
            await model.dispose();
          }
        });
        reporter.close();
        if (!asked) return;
        const { picture, files, text, tokens, answered, masks, canMask } = asked;
        const { objects, problems } = answered;
        const seen = seenIn(picture, objects, masks);
        if (files.length > 1) io.err(`asked about ${files.length} pictures: ${listed(files)}`);
        if (seen.length > 0 && files.length > 1)
          io.err('note: the answer does not say of which picture: pixels of boxes are the first one’s');
        for (const { message, text: part } of problems) io.err(`warning: "${part}": ${message}`);
        if (!canMask && seen.some(({ hasCodes }) => hasCodes))
          io.err('note: the answer has codes of masks, and the bundle no mask decoder: convert with --mask-decoder');
        for (const { name, isBroken } of seen)
          if (isBroken)
            io.err(`warning: the mask of "${name}" holds values that are no numbers: the decoder is damaged`);
        const isDrawn = draw !== undefined && (await writing(result, () => drawBoxes(picture, seen, draw)));
        const written: (string | undefined)[] = [];
        if (masksFolder !== undefined)
          await writing(result, () => writeMasks(masksFolder, seen, picture, (place, name) => (written[place] = name)));
        if (flags.json)
          return io.out(
            printed('run', {
              pictures: files,
              text,
              tokens,
              boxes: boxesOf(seen, picture, wholeMask).map((box, i) => ({
                ...box,
                ...(written[i] !== undefined && { file: join(masksFolder!, written[i]) }),
              })),
              problems,
              ...(isDrawn && { drawn: draw }),
              ...unwrittenField(result),
            }),
          );
        if (io.stream) io.out('');
        else io.out(text.split('\n'));
        if (seen.length > 0) io.out(objectsTable(seen));
        if (isDrawn) io.err(`drawn: ${draw}`);
        const names = written.filter((file) => file !== undefined);
        if (masksFolder !== undefined)
          io.err(`masks: ${names.length === 0 ? noMasks(canMask) : `${names.join(', ')} in ${masksFolder}`}`);
      } finally {
        reporter.close();
        await undo();
      }
    });
}

function noMasks(canMask: boolean): string {
  return canMask ? 'none' : 'none, for the bundle has no mask decoder: convert with --mask-decoder';
}

/** With the pixels of masks, where there are any. */
function objectsTable(seen: readonly SeenObject[]): TextTable {
  const hasMasks = seen.some(({ mask }) => mask);
  return table(
    ['label', 'x0', 'y0', 'x1', 'y1', ...(hasMasks ? ['mask, px'] : [])],
    seen.map(({ name, x0, y0, x1, y1, mask }) => [
      name,
      x0,
      y0,
      x1,
      y1,
      ...(hasMasks ? [mask ? mask.reduce((sum, there) => sum + there, 0) : ''] : []),
    ]),
    [1, 2, 3, 4, 5],
  );
}

/** @throws UsageError for options that say no picture, or that do not go together */
function checkPictures({ image = [], frames, every, draw, masks, repeat, prompt }: Flags): void {
  if (image.filter((file) => file === '-').length + (prompt === '-' ? 1 : 0) > 1)
    throw new UsageError('two_inputs', 'standard input is one thing, and - names it twice', {
      hint: 'give - once',
    });
  if (
    repeat !== undefined &&
    [image.length > 0, frames, draw, masks].some((other) => other !== undefined && other !== false)
  )
    throw new UsageError(
      'repeat_alone',
      '--repeat asks about pictures one by one, and goes with no other picture, drawing or masks',
      {
        hint: 'leave out --image, --frames, --draw and --masks',
      },
    );
  if (image.length === 0 && frames === undefined && repeat === undefined)
    throw new UsageError('no_picture', 'no picture is named', {
      hint: 'name one with --image, several with --frames, or a folder of them with --repeat',
    });
  if (every !== undefined && frames === undefined && repeat === undefined)
    throw new UsageError('every_without_frames', '--every is of --frames and --repeat', {
      hint: 'leave it out, or name --frames',
    });
  const drawing = draw === undefined ? (masks === undefined ? undefined : '--masks') : '--draw';
  if (drawing !== undefined && (image.length > 1 || frames !== undefined))
    throw new UsageError('draw_on_several', `${drawing} is of one picture, and there are several`, {
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
    for (const file of files) pictures.push(await decodeImage(await sourceOf(file, signal), { mode, name: file }));
    return { pictures, files };
  } finally {
    await unpacked?.dispose();
  }
}

/** What a name of a picture stands for: its bytes, where it is no path. */
async function sourceOf(name: string, signal: AbortSignal | undefined): Promise<string | Uint8Array> {
  if (isUrl(name)) return fetchPicture(name, signal);
  return name === '-' ? standardInput(MAX_FILE_BYTES) : name;
}

/** A prompt from standard input, without the line end that `echo` puts there. */
async function piped(): Promise<string> {
  return new TextDecoder().decode(await standardInput(MAX_PROMPT_BYTES)).replace(/\r?\n$/, '');
}

function listed(files: readonly string[]): string {
  return files.length > 4 ? `${files.slice(0, 3).join(', ')}, … ${files.at(-1)!}` : files.join(', ');
}

/** What a drawn picture must leave alone. */
async function keptBy(bundle: string, { image = [], browser }: Flags): Promise<Kept> {
  const { filesRead } = await import('./input_files.ts');
  const pictures = image
    .filter((file) => file !== '-' && !isUrl(file))
    .map((file, i) => [i === 0 ? 'the picture' : `picture ${i + 1}`, file] as const);
  const files = { ...Object.fromEntries(pictures), 'the browser': browser };
  return { reads: await filesRead({ bundles: [bundle], files }), bundles: [bundle] };
}
