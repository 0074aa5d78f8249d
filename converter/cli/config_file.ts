import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command, Option } from 'commander';
import { z } from 'zod';
import { UsageError } from '../errors.ts';
import { withInputs } from '../inputs/inputs.ts';

/** Options that a project repeats, in the folder where a command is run. */
export const CONFIG_NAME = 'pgconv.config.json';

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const schema = z.record(z.string(), z.record(z.string(), z.union([scalar, z.array(scalar)])));
type Config = z.infer<typeof schema>;

/** By command and option. @throws UsageError `bad_options_file` for what is no such list */
async function readConfig(path: string): Promise<Config> {
  const text = await withInputs((inputs) => inputs.readText(path));
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).split('\n')[0]! : (error as Error).message;
    throw badConfig(path, `it is no list of options by command: ${why}`);
  }
}

const badConfig = (file: string, message: string) =>
  new UsageError('bad_options_file', message, {
    file,
    hint: 'write {"convert": {"dtype": "fp16", "out": "bundle"}}: names of commands, and of their options without --',
  });

/**
 * Takes options from `pgconv.config.json` in a folder, where there is one, as if they had been given, unless they are.
 * Those that a command takes so are told to `heard`. @throws UsageError `bad_options_file` for what no command takes
 */
export async function takeConfig(program: Command, folder: string, heard: (line: string) => void): Promise<void> {
  const path = join(folder, CONFIG_NAME);
  if (!(await stat(path).then(Boolean, () => false))) return;
  for (const [name, options] of Object.entries(await readConfig(path))) {
    const command = program.commands.find((one) => one.name() === name);
    if (!command) throw badConfig(path, `there is no command "${name}"`);
    const taken: Option[] = [];
    for (const [key, value] of Object.entries(options)) {
      const option = command.options.find(({ long }) => long === `--${key}`);
      if (!option) throw badConfig(path, `${name} has no option --${key}`);
      option.default(valueOf(option, value, (message) => badConfig(path, `${name} --${key}: ${message}`)));
      command.setOptionValueWithSource(option.attributeName(), option.defaultValue, 'default');
      taken.push(option);
    }
    command.hook('preAction', () => {
      const used = taken.filter((option) => command.getOptionValueSource(option.attributeName()) === 'default');
      if (used.length > 0) heard(`note: ${path} says ${used.map(({ long }) => long).join(', ')}`);
    });
  }
}

/** What the option makes of a value, as of one that is given. @throws what `refuse` makes of others */
function valueOf(option: Option, value: Config[string][string], refuse: (message: string) => Error): unknown {
  const isSwitch = !option.required && !option.optional;
  if (isSwitch) {
    if (typeof value !== 'boolean') throw refuse('it is a switch: say true or false');
    return option.negate ? !value : value;
  }
  let made: unknown;
  for (const given of [value].flat()) {
    if (typeof given === 'boolean') throw refuse('it takes a value');
    try {
      made = option.parseArg ? option.parseArg(String(given), made as never) : String(given);
    } catch (error) {
      throw refuse((error as Error).message);
    }
  }
  return made;
}
