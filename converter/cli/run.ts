import { Command, Option } from 'commander';
import { BadInputError, UsageError } from '../errors.ts';
import { parseBoxes, toPixelBox } from '../images/boxes.ts';
import { PIXEL_MODES, PROCESSORS, type PixelMode } from '../../backends/client/images/processor.ts';
import { json, type Io } from './io.ts';
import { DEVICE_HELP, jsonOption, wholeNumber } from './options.ts';
import { table } from '../terminal/table.ts';
import { RUN_HELP } from './help/run.ts';

interface Flags {
  readonly image: string;
  readonly prompt: string;
  readonly maxNewTokens: number;
  readonly draw?: string;
  readonly resize?: PixelMode;
  readonly device?: string;
  readonly json?: boolean;
}

/** `pgconv run`. */
export function runCommand(io: Io): Command {
  return new Command('run')
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
    .option('--device <name>', DEVICE_HELP)
    .addOption(jsonOption())
    .addHelpText('after', RUN_HELP)
    .action(async (bundle: string, flags: Flags) => {
      const [
        { answer },
        { bundleProcessor, bundleTokenizer, openStaged },
        { readManifest },
        { decodeImage },
        { drawBoxes },
      ] = await Promise.all([
        import('../samples/answer.ts'),
        import('../bundle/open_bundle.ts'),
        import('../bundle/manifest.ts'),
        import('../images/decode.ts'),
        import('../images/draw.ts'),
      ]);
      const manifest = await readManifest(bundle);
      const own = await bundleProcessor(bundle, manifest);
      const processor = flags.resize === undefined || flags.resize === own.mode ? own : PROCESSORS[flags.resize];
      const picture = await decodeImage(flags.image, { mode: processor.mode });
      const model = await openStaged(bundle, manifest, flags.device);
      try {
        if (model.metadata.retrievalWidth !== undefined)
          throw new UsageError('not_for_answers', 'this is a ColPali: it gives vectors for retrieval, not answers', {
            file: bundle,
            hint: 'its README.md shows how to rank pages with it',
          });
        const tokenizer = await bundleTokenizer(bundle);
        if (!tokenizer)
          throw new BadInputError('no_tokenizer', 'the bundle has no tokenizer', {
            file: bundle,
            hint: 'convert again with --tokenizer tokenizer.model',
          });
        const { text, tokens } = await answer(model, tokenizer, {
          image: picture,
          prompt: flags.prompt,
          maxNewTokens: flags.maxNewTokens,
          processor,
          signal: io.signal,
        });
        const { boxes, problems } = parseBoxes(text);
        const pixels = boxes.map((box) => ({ label: box.label, ...toPixelBox(box, picture.width, picture.height) }));
        for (const { message, text: part } of problems) io.err(`warning: "${part}": ${message}`);
        if (flags.draw !== undefined) await drawBoxes(picture, boxes, flags.draw);
        if (flags.json)
          return io.out(
            json({ text, tokens, boxes: pixels, problems, ...(flags.draw !== undefined && { drawn: flags.draw }) }),
          );
        io.out(text);
        if (pixels.length > 0)
          io.out(
            table(
              ['label', 'x0', 'y0', 'x1', 'y1'],
              pixels.map((b) => [b.label, b.x0, b.y0, b.x1, b.y1]),
              [1, 2, 3, 4],
            ),
          );
        if (flags.draw !== undefined) io.err(`drawn: ${flags.draw}`);
      } finally {
        await model.dispose();
      }
    });
}
