/** One paragraph that the source has in several lines: what prints it wraps it again. */
export function prose(...lines: readonly string[]): string {
  return lines.join(' ');
}
