import { Argument, Command } from 'commander';
import { COMPLETION_HELP } from './help/completion.ts';
import type { Io } from './io.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** What a shell is told of a command. */
interface Completed {
  readonly name: string;
  readonly description: string;
  readonly options: readonly {
    readonly long: string;
    readonly description: string;
    readonly choices: readonly string[];
    readonly takesValue: boolean;
  }[];
}

/** `pgconv completion`: of all commands, whose options it reads when it is asked. */
export function completionCommand(io: Io): Command {
  const command = new Command('completion')
    .description('Print what a shell completes commands, options and their values by.')
    .addArgument(new Argument('<shell>', 'whose').choices(SHELLS))
    .addHelpText('after', COMPLETION_HELP)
    .action((shell: Shell) => {
      io.out(WRITERS[shell]((command.parent?.commands ?? []).map(completedOf)));
    });
  return command;
}

function completedOf(command: Command): Completed {
  return {
    name: command.name(),
    description: command.description(),
    options: command.options.map(({ long, description, argChoices, required, optional }) => ({
      long: long!,
      description,
      choices: argChoices ?? [],
      takesValue: required || optional,
    })),
  };
}

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
const names = (commands: readonly Completed[]) => commands.map(({ name }) => name).join(' ');

function bash(commands: readonly Completed[]): string[] {
  const values = commands.flatMap(({ name, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(({ long, choices }) => `    ${name}:${long}) words=${quoted(choices.join(' '))} ;;`),
  );
  const taking = commands.flatMap(({ name, options }) =>
    options
      .filter(({ takesValue, choices }) => takesValue && choices.length === 0)
      .map(({ long }) => `${name}:${long}`),
  );
  return [
    '_pgconv() {',
    '  local command=${COMP_WORDS[1]} before=${COMP_WORDS[COMP_CWORD-1]} word=${COMP_WORDS[COMP_CWORD]} words=',
    '  COMPREPLY=()',
    `  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W ${quoted(names(commands))} -- "$word")); return; fi`,
    '  case "$command:$before" in',
    ...values,
    `    ${taking.join('|')}) return ;;`,
    '  esac',
    '  if [ -z "$words" ] && [[ $word == -* ]]; then case "$command" in',
    ...commands.map(
      ({ name, options }) => `    ${name}) words=${quoted(options.map(({ long }) => long).join(' '))} ;;`,
    ),
    '  esac; fi',
    '  [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '}',
    'complete -o default -F _pgconv pgconv',
  ];
}

function zsh(commands: readonly Completed[]): string[] {
  // a description ends at its bracket
  const told = (text: string) => text.replaceAll(/[[\]:]/g, ' ');
  return [
    '#compdef pgconv',
    '_pgconv() {',
    '  if (( CURRENT == 2 )); then',
    '    local -a commands',
    `    commands=(${commands.map(({ name, description }) => quoted(`${name}:${told(description)}`)).join(' ')})`,
    '    _describe command commands',
    '    return',
    '  fi',
    '  case $words[2] in',
    ...commands.map(({ name, options }) => {
      const specs = options.map(({ long, description, choices, takesValue }) =>
        quoted(
          `*${long}[${told(description)}]${takesValue ? `:value:${choices.length > 0 ? `(${choices.join(' ')})` : '_files'}` : ''}`,
        ),
      );
      return `    ${name}) shift words; (( CURRENT-- )); _arguments ${specs.join(' ')} '*:file:_files' ;;`;
    }),
    '  esac',
    '}',
    'compdef _pgconv pgconv',
  ];
}

function fish(commands: readonly Completed[]): string[] {
  return [
    ...commands.map(
      ({ name, description }) => `complete -c pgconv -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
    ),
    ...commands.flatMap(({ name, options }) =>
      options.map(({ long, description, choices, takesValue }) =>
        [
          `complete -c pgconv -n '__fish_seen_subcommand_from ${name}' -l ${long.slice(2)} -d ${quoted(description)}`,
          ...(takesValue ? ['-r'] : []),
          ...(choices.length > 0 ? [`-f -a ${quoted(choices.join(' '))}`] : []),
        ].join(' '),
      ),
    ),
  ];
}

const WRITERS: Readonly<Record<Shell, (commands: readonly Completed[]) => string[]>> = { bash, zsh, fish };
