import { Command } from 'commander';
import { bytesText } from '../../backends/bytes_text.ts';
import type { Line } from '../../verify/text_table.ts';
import type { BundleFigures, Spread } from '../compile/bench_bundles.ts';
import { UsageError } from '../errors.ts';
import { table } from '../terminal/table.ts';
import { BENCH_HELP } from './help/bench.ts';
import { printed, type Io } from './io.ts';
import { jsonOption, wholeNumber, withDevice, type DeviceFlags } from './options.ts';

interface Flags extends DeviceFlags {
  readonly image?: string;
  readonly prompt?: string;
  readonly tokens: number;
  readonly runs: number;
  readonly json?: boolean;
}

/** `pgconv bench`. */
export function benchCommand(io: Io): Command {
  const command = new Command('bench')
    .description('Time bundles side by side: to the first token, prompt and new tokens a second, memory.')
    .argument('<bundle...>', 'folders that `pgconv convert` wrote')
    .option('--image <file>', 'what is asked about (default: a built-in picture)')
    .option('--prompt <text>', 'what is asked about --image (default: caption en)')
    .option('--tokens <n>', 'new tokens of each run, whatever the model says', wholeNumber(1), 32)
    .option('--runs <n>', 'runs that count, after one that does not', wholeNumber(1), 5)
    .addOption(jsonOption());
  return withDevice(command)
    .addHelpText('after', BENCH_HELP)
    .action(async (bundles: readonly string[], { json: asJson, image, prompt, ...flags }: Flags) => {
      if (prompt !== undefined && image === undefined)
        throw new UsageError('no_picture', '--prompt is of --image, and none is named', {
          hint: 'name a picture with --image, or leave --prompt out',
        });
      const { benchBundles } = await import('../compile/bench_bundles.ts');
      const reporter = io.reporter();
      try {
        const figures = await benchBundles({ ...flags, bundles, image, prompt, signal: io.signal }, reporter);
        reporter.close();
        io.out(
          asJson
            ? printed('bench', { runs: flags.runs, tokens: flags.tokens, bundles: figures })
            : summary(figures, flags),
        );
      } finally {
        reporter.close();
      }
    });
}

function summary(figures: readonly BundleFigures[], { runs, tokens }: Pick<Flags, 'runs' | 'tokens'>): readonly Line[] {
  return [
    table(
      ['bundle', 'device', 'opened in', 'first token', 'image', 'prompt, tokens/s', 'new tokens/s', 'memory'],
      figures.map((of) => [
        of.bundle,
        of.device,
        `${numberText(of.openSeconds)} s`,
        spreadText(of.firstTokenSeconds, ' s'),
        spreadText(of.imageSeconds, ' s'),
        spreadText(of.prefillTokensPerSecond),
        spreadText(of.decodeTokensPerSecond),
        bytesText(of.memoryBytes),
      ]),
      [2, 3, 4, 5, 6, 7],
    ),
    `medians (least to most) of ${runs} runs of ${tokens} tokens, by turns; prompt of ${[...new Set(figures.map(({ promptTokens }) => promptTokens))].join(', ')} tokens`,
  ];
}

function spreadText({ median, least, most }: Spread, unit = ''): string {
  return `${numberText(median)}${unit} (${numberText(least)} to ${numberText(most)})`;
}

/** Three digits: runs differ in the third. */
function numberText(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
