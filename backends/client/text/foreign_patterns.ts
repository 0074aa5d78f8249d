/*
 * A tokenizer.json may have regular expressions, which the library runs by back-tracking: one that somebody else wrote
 * may take forever on a prompt. PaliGemma's has texts alone. So of expressions those are taken that can be seen to be
 * done soon: alternatives of characters and classes in a row, one of which may repeat. What is neither an expression
 * nor a text is refused as well, for the library prints it as it is.
 */

const MOST_CHARACTERS = 200;
const MOST_ALTERNATIVES = 4;

/** The first pattern of a tokenizer.json that might take forever, or is none; undefined where all are sound. */
export function unsoundPattern(tokenizerJson: object): string | undefined {
  const parts = tokenizerJson as Readonly<Record<string, unknown>>;
  for (const part of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'])
    for (const pattern of patternsIn(parts[part])) {
      const { Regex: expression, String: text } = pattern as { readonly Regex?: unknown; readonly String?: unknown };
      if (expression === undefined ? typeof text !== 'string' : !isSoonDone(String(expression)))
        return expression === undefined ? JSON.stringify(pattern) : String(expression);
    }
  return undefined;
}

/** All `{"Regex": …}` within, and all that is called a pattern, or ought to be there. */
function* patternsIn(part: unknown): Generator<object> {
  const open = [part];
  while (open.length > 0) {
    const value = open.pop();
    if (value === null || typeof value !== 'object') continue;
    if ('Regex' in value) yield value;
    const { type, pattern } = value as { readonly type?: unknown; readonly pattern?: unknown };
    if ((type === 'Split' || type === 'Replace') && pattern === undefined) yield {};
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'pattern') yield Object(inner) as object;
      open.push(inner);
    }
  }
}

const ATOM = /\\[pP]\{[^{}]*\}|\\[^bBkpPu\d]|\[\^?\]?(?:\\.|[^\\\][])*\]|[^\\()[\]{}|*+?]/suy;
const QUANTIFIER = /[*+?]\??|\{\d{1,2}(?:,\d{0,3})?\}\??/y;

/** Whether an expression takes no more than some multiple of the square of a text's length. */
function isSoonDone(pattern: string): boolean {
  if (pattern.length > MOST_CHARACTERS) return false;
  let [alternatives, repeats, options] = [1, 0, 0];
  for (let at = 0; at < pattern.length;) {
    if (pattern[at] === '|') {
      [alternatives, repeats, options] = [alternatives + 1, 0, 0];
      at++;
      continue;
    }
    const atom = matchAt(ATOM, pattern, at);
    if (atom === 0) return false;
    const quantifier = pattern.slice(at + atom, at + atom + matchAt(QUANTIFIER, pattern, at + atom));
    if (quantifier.startsWith('?')) options++;
    else if (quantifier !== '' && !/^\{\d+\}$/.test(quantifier)) repeats++;
    if (repeats > 1 || options > 1 || alternatives > MOST_ALTERNATIVES) return false;
    at += atom + quantifier.length;
  }
  return alternatives <= MOST_ALTERNATIVES;
}

function matchAt(expression: RegExp, text: string, at: number): number {
  expression.lastIndex = at;
  return expression.exec(text)?.[0].length ?? 0;
}
