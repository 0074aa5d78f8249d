import type { Command } from 'commander';

/** Values that name a file or a folder. */
const NAMES = /<(?:\[\w+=\])?(?:file(?:\.\w+)?|dir|path|recording|checkpoint(?:\.\.\.)?|bundle)>/;

/** Refuses names that are empty, as a variable of a shell is that was not set: they would mean the folder at hand. */
export function refuseEmptyNames(command: Command): void {
  const refuse = (name: string) => command.error(`error: ${name} names nothing`, { code: 'commander.emptyName' });
  for (const option of command.options)
    if (NAMES.test(option.flags))
      command.on(`option:${option.name()}`, (value: unknown) => {
        if (value === '') refuse(`option '${option.flags}'`);
      });
  command.hook('preAction', (_, { args }) => {
    if (args.includes('')) refuse('an argument');
  });
}
