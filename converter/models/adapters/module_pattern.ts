import { BadInputError, type ErrorPlace } from '../../errors.ts';

/**
 * Python's syntax that JavaScript reads otherwise or not at all: named groups, inline flags, comments, anchors, back
 * references.
 */
const PYTHON_ONLY = /\(\?(?![:=!])|\\[AZ1-9]|[*+?}]\+/;
const LONGEST = 500;
/** `.*` and the like in one key: with more, a hostile key takes minutes for one name. */
const MOST_REPEATS = 4;

/**
 * The value of the first key that fits a module's name, as PEFT looks up rank_pattern and alpha_pattern: a key is a
 * regular expression for the whole name or for what follows one of its dots, `re.match(r"(.*\.)?(KEY)$", name)`; `^` in
 * it pins it to the start. @throws BadInputError for a key that is no regular expression, or one that only Python
 * understands.
 */
export function firstMatch(
  patterns: ReadonlyMap<string, number>,
  module: string,
  place: ErrorPlace,
): number | undefined {
  for (const [key, value] of patterns) if (compile(key, place).test(module)) return value;
  return undefined;
}

const compiled = new Map<string, RegExp>();

function compile(key: string, place: ErrorPlace): RegExp {
  const known = compiled.get(key);
  if (known) return known;
  const refuse = (message: string): never => {
    throw new BadInputError('bad_config', `the pattern "${key.slice(0, 80)}" ${message}`, {
      ...place,
      hint: 'write the module names out in rank_pattern and alpha_pattern',
    });
  };
  if (key.length > LONGEST) refuse(`has ${key.length} characters; at most ${LONGEST} are read`);
  if (PYTHON_ONLY.test(key)) refuse('uses syntax that only Python’s regular expressions have');
  if (repeatsOf(key) > MOST_REPEATS) refuse('repeats groups that repeat, or too often: matching it could take forever');
  try {
    const pattern = new RegExp(`^(?:.*\\.)?(?:${key})$`);
    compiled.set(key, pattern);
    return pattern;
  } catch (cause) {
    return refuse(`is no regular expression: ${(cause as Error).message}`);
  }
}

/** Open-ended quantifiers; Infinity when one stands on a group that has one itself. */
function repeatsOf(key: string): number {
  const groups = [false];
  let count = 0;
  let inClass = false;
  for (let i = 0; i < key.length; i++) {
    const c = key[i];
    if (c === '\\') i++;
    else if (inClass) inClass = c !== ']';
    else if (c === '[') inClass = true;
    else if (c === '(') groups.push(false);
    else if (c === ')') {
      const repeats = groups.length > 1 && groups.pop()!;
      if (repeats && /^(?:[*+]|\{\d*,?\d*\})/.test(key.slice(i + 1, i + 20))) return Infinity;
      groups[groups.length - 1] ||= repeats;
    } else if (c === '*' || c === '+' || (c === '{' && /^\{\d*,/.test(key.slice(i, i + 20)))) {
      count++;
      groups[groups.length - 1] = true;
    }
  }
  return count;
}
