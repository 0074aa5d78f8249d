/** Lines of a kind that a page shows of one thing: more are for programs. */
const MOST_LISTED = 20;

/** As many lines as anybody reads, and how many more there are: `what` are they, in the plural. */
export function listedLines(lines: readonly string[], what: string): readonly string[] {
  const more = lines.length - MOST_LISTED;
  return more <= 0 ? lines : [...lines.slice(0, MOST_LISTED), `and ${more} more ${what}: --json has all`];
}
