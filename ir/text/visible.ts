/*
 * Names in a file that somebody else made may move the cursor, turn lines around, or begin lines of their own, which a
 * CI service takes for commands. Each is shown as an escape: on terminals and in every report. `Io.out` takes lines and
 * escapes each, so that text with a line end in it is one line, whoever wrote it.
 */

/**
 * Controls of ASCII and of Latin-1, marks and overrides of direction, line and paragraph separators, and what is no
 * character, which no file of text may hold: halves of surrogate pairs among them.
 */
const UNSEEN =
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|\p{Surrogate}/gu;

/** Text in one line, with nothing unseen in it. */
export function visible(text: string): string {
  return text.replaceAll(UNSEEN, (c) => (c === '\n' ? String.raw`\n` : escapeOf(c)));
}

/** JSON, whose strings hold no line ends, laid out in lines: escapes are what JSON reads as the same characters. */
export function visibleJson(text: string): string {
  return text.replaceAll(UNSEEN, (c) => (c === '\n' ? c : escapeOf(c)));
}

function escapeOf(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Longest line of a report: a name in a hostile file may be as long as the file. */
const LONGEST = 2000;

/** The same of a report, where what is too long is cut. */
export function oneLine(text: string): string {
  const line = visible(text.slice(0, LONGEST));
  return text.length > LONGEST ? `${line}…` : line;
}
