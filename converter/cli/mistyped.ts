import type { Command, Option } from 'commander';

/** What commander calls for itself, and has no types for. */
interface Unlisted {
  missingMandatoryOptionValue(option: Option): void;
  unknownOption(flag: string): void;
}

/** Names an option that nobody knows before one that is missing: the one is mostly the other, mistyped. */
export function nameMistypedFirst(command: Command): void {
  const own = command as Command & Unlisted;
  const [parse, missing] = [own.parseOptions.bind(own), own.missingMandatoryOptionValue.bind(own)];
  let unknown: string | undefined;
  own.parseOptions = (args) => {
    const result = parse(args);
    unknown = result.unknown.find((arg) => /^--?\w/.test(arg));
    return result;
  };
  own.missingMandatoryOptionValue = (option) => {
    if (unknown !== undefined) own.unknownOption(unknown);
    missing(option);
  };
}
