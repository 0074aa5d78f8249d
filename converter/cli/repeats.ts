import { Option, type Command } from 'commander';

const repeatable = new WeakSet<Option>();

/** An option that may be given again: its values as a list. */
export function collecting(flags: string, description: string, read: (text: string) => unknown): Option {
  const add = (text: string, before?: readonly unknown[]) => [...(before ?? []), read(text)];
  const option = new Option(flags, description).argParser(add);
  repeatable.add(option);
  return option;
}

/** Refuses options that are given twice: commander would take the last and say nothing of the others. */
export function refuseRepeats(command: Command): void {
  for (const option of command.options) {
    if (!option.required || repeatable.has(option)) continue;
    let given = false;
    command.on(`option:${option.name()}`, () => {
      if (given)
        command.error(`error: option '${option.flags}' is given twice, and takes one value`, {
          code: 'commander.repeatedOption',
        });
      given = true;
    });
  }
}
