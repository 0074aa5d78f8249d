import { Command, Option } from 'commander';
import { BadInputError, UsageError } from '../errors.ts';
import { parseAnswer } from '../../backends/client/answers/parse_answer.ts';
import { placeBox } from '../../backends/client/answers/place_box.ts';
import { PIXEL_MODES, PROCESSORS, type PixelMode } from '../../backends/client/images/processor.ts';
import { printed, type Io } from './io.ts';
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
  readonly image: string;
  readonly prompt: string;
  readonly maxNewTokens: number;
  readonly draw?: string;
  readonly resize?: PixelMode;
  readonly json?: boolean;
}

/** `pgconv run`. */
export function runCommand(io: Io, result: CommandResult): Command {
  const command = new Command('run')
    .description('Ask a bundle about a picture.')
    .argument('<bundle>', 'folder that `pgconv convert` wrote')
    .requiredOption('--image <file>', 'the picture, one: PNG, JPEG, WebP, …')
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
        { decodeImage },
        { drawBoxes },
        { findDevice, openChosen },
      ] = await Promise.all([
        import('../samples/answer.ts'),
        import('../bundle/open_bundle.ts'),
        import('../bundle/while_checked.ts'),
        import('../bundle/manifest.ts'),
        import('../images/decode.ts'),
        import('../images/draw.ts'),
        import('../compile/opening.ts'),
      ]);
      const { draw } = flags;
      const undo =
        draw === undefined
          ? async () => {}
          : await prepareOutputs([{ option: '--draw', path: draw }], await keptBy(bundle, flags));
      const reporter = io.reporter();
      try {
        const manifest = await readManifest(bundle);
        const choice = { check: flags.check, signal: io.signal };
        const { picture, text, tokens } = await whileChecked(bundle, manifest, choice, async (signal) => {
          const own = await bundleProcessor(bundle, manifest);
          const processor = flags.resize === undefined || flags.resize === own.mode ? own : PROCESSORS[flags.resize];
          const image = await decodeImage(flags.image, { mode: processor.mode });
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
          const chosen = await findDevice(await bundleBackend(bundle, manifest), flags, reporter);
          const model = await openChosen(bundle, manifest, chosen, reporter);
          try {
            const { prompt, maxNewTokens } = flags;
            const said = await withWait(reporter, 'answer', () =>
              answer(model, tokenizer, { image, prompt, maxNewTokens, processor, signal }),
            );
            return { picture: image, ...said };
          } finally {
            await model.dispose();
          }
        });
        reporter.close();
        const { objects, problems } = parseAnswer(text);
        const placed = objects.map(({ name, box }) => ({ name, ...placeBox(box, picture) }));
        for (const { message, text: part } of problems) io.err(`warning: "${part}": ${message}`);
        const isDrawn = draw !== undefined && (await writing(result, () => drawBoxes(picture, placed, draw)));
        if (flags.json)
          return io.out(
            printed('run', {
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

/** What a drawn picture must leave alone. */
async function keptBy(bundle: string, { image, browser }: Flags): Promise<Kept> {
  const { filesRead } = await import('./input_files.ts');
  const files = { 'the picture': image, 'the browser': browser };
  return { reads: await filesRead({ bundles: [bundle], files }), bundles: [bundle] };
}
