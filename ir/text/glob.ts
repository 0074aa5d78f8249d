/**
 * Whether a text is what a pattern says, in which `*` stands for any characters, none included. It takes as many steps
 * as the product of both lengths at most: the text may be somebody else's.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let [at, star, retry] = [0, -1, 0];
  for (let i = 0; i < text.length;) {
    if (pattern[at] === '*') {
      star = at++;
      retry = i;
    } else if (at < pattern.length && pattern[at] === text[i]) {
      at++;
      i++;
    } else {
      if (star === -1) return false;
      at = star + 1;
      i = ++retry;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
