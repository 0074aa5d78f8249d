import { RE2JS } from 're2js';
import { BadInputError, type ErrorPlace } from '../../errors.ts';

/**
 * What Python's regular expressions have and RE2 has not, or reads otherwise: look-around, references, conditions,
 * comments, flags (which Python refuses where PEFT puts the key), `\Z`, possessive quantifiers.
 */
const PYTHON_ONLY = /\(\?(?!:|P<)|\\[Z1-9]|[*+?}]\+/;
const LONGEST = 500;
/** Of those that are no plain names: they are held against every module. */
const MOST_EXPRESSIONS = 512;
/** The names that most keys are; PEFT reads their dots as any character. */
const PLAIN = /^[\w.]+$/;

/** Keys of rank_pattern or alpha_pattern, with their values, in order. */
export class ModulePatterns {
  readonly #patterns: readonly { readonly matches: (module: string) => boolean; readonly value: number }[];

  /** @throws BadInputError for keys that are no regular expressions, that only Python understands, or too many */
  constructor(patterns: Readonly<Record<string, number>>, place: ErrorPlace) {
    const keys = Object.entries(patterns);
    const expressions = keys.filter(([key]) => !PLAIN.test(key)).length;
    if (expressions > MOST_EXPRESSIONS)
      throw new BadInputError(
        'bad_config',
        `${expressions} patterns are regular expressions; at most ${MOST_EXPRESSIONS} are read`,
        { ...place, hint: WRITE_OUT },
      );
    this.#patterns = keys.map(([key, value]) => ({ matches: matcherOf(key, place), value }));
  }

  /**
   * The value of the first key that fits a module's name, as PEFT looks it up: a key is a regular expression for the
   * whole name or for what follows one of its dots, `re.match(r"(.*\.)?(KEY)$", name)`; `^` in it pins it to the start.
   */
  firstMatch(module: string): number | undefined {
    return this.#patterns.find(({ matches }) => matches(module))?.value;
  }
}

const WRITE_OUT = 'write the module names out in rank_pattern and alpha_pattern';

function matcherOf(key: string, place: ErrorPlace): (module: string) => boolean {
  const refuse = (message: string): never => {
    throw new BadInputError('bad_config', `the pattern "${key.slice(0, 80)}" ${message}`, {
      ...place,
      hint: WRITE_OUT,
    });
  };
  if (PLAIN.test(key)) return (module) => endsWithName(module, key);
  if (key.length > LONGEST) refuse(`has ${key.length} characters; at most ${LONGEST} are read`);
  if (PYTHON_ONLY.test(key)) refuse('uses syntax that only Python’s regular expressions have');
  try {
    // linear in the name, whatever the key: no back-tracking
    const pattern = RE2JS.compile(`(?:.*\\.)?(?:${key})`);
    return (module) => pattern.matches(module);
  } catch (cause) {
    return refuse(`is no regular expression: ${(cause as Error).message}`);
  }
}

/** Whether the module, or what follows one of its dots, is the name; a dot of the name is any character. */
function endsWithName(module: string, name: string): boolean {
  const before = module.length - name.length;
  if (before < 0 || (before > 0 && module[before - 1] !== '.')) return false;
  return Array.from(name).every((c, i) => c === module[before + i] || (c === '.' && module[before + i] !== '\n'));
}
