import { Command } from 'commander';
import { expect, test } from 'vitest';
import { commandLine } from './main.ts';
import { collecting, refuseRepeats } from './repeats.ts';

function parsed(...args: readonly string[]): object {
  const command = new Command('x')
    .exitOverride()
    .configureOutput({ writeErr() {} })
    .option('--image <file>')
    .option('--json')
    .option('--limit <n>', '', Number, 3)
    .addOption(collecting('--scale <x>', '', Number));
  refuseRepeats(command);
  return command.parse(args, { from: 'user' }).opts();
}

test('an option that takes one value is not given twice; lists and switches may be', () => {
  expect(parsed('--image', 'a', '--json', '--json', '--scale', '1', '--scale', '2')).toEqual({
    image: 'a',
    json: true,
    limit: 3,
    scale: [1, 2],
  });
  expect(parsed('--limit', '4')).toMatchObject({ limit: 4 });
  for (const args of [
    ['--image', 'a', '--image', 'b'],
    ['--image=a', '--image', 'a'],
    ['--limit', '3', '--image', 'a', '--limit', '3'],
  ])
    expect(() => parsed(...args), args.join(' ')).toThrow(
      expect.objectContaining({ code: 'commander.repeatedOption' }),
    );
});

/** Of options that read theirs closely. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['--temperature', '1'],
  ['--top-k', '3'],
  ['--seed', '1'],
  ['--top-p', '0.5'],
  ['--min-p', '0.1'],
  ['--repetition-penalty', '1.1'],
  ['--dtypes', 'fp32'],
  ['--backends', 'onnx'],
  ['--algorithm', 'rtn'],
  ['--print-ir', 'all'],
  ['--map', 'ours=theirs'],
  ['--memory', '4GiB'],
  ['--budget', '2GB'],
  ['--target-kld', '0.01'],
]);

test('every command refuses what it would drop', () => {
  const quiet = { out() {}, err() {}, reporter: () => undefined as never, signal: new AbortController().signal };
  const program = commandLine(quiet, { exitCode: 0 });
  for (const command of program.commands)
    for (const option of command.options.filter(({ required }) => required)) {
      const name = option.long!;
      const value = option.argChoices?.[0] ?? VALUES.get(name) ?? (/<(?:n|x)>/.test(option.flags) ? '1' : 'a');
      const lists =
        ['--adapter', '--adapter-scale', '--bundle', '--leave-out', '--map'].includes(name) ||
        (command.name() === 'run' && ['--image', '--stop'].includes(name));
      const again = () => {
        command.parseOptions([name, value]);
        command.parseOptions([name, value]);
      };
      if (lists) expect(again, `${command.name()} ${name}`).not.toThrow();
      else
        expect(again, `${command.name()} ${name}`).toThrow(
          expect.objectContaining({ code: 'commander.repeatedOption' }),
        );
    }
});
