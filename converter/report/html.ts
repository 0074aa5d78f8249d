import { escapeMarkup } from '../../ir/text/escape_markup.ts';

export function paragraph(text: string): string {
  return `<p>${escapeMarkup(text)}</p>`;
}

/** Lines as a list; nothing where there are none. */
export function htmlList(lines: readonly string[], className?: string): string {
  return lines.length === 0
    ? ''
    : `<ul${className === undefined ? '' : ` class="${className}"`}>${lines.map((line) => `<li>${escapeMarkup(line)}</li>`).join('')}</ul>`;
}

/** A cell of a table, with a class for the style sheet. */
export interface Cell {
  readonly text: string;
  readonly className?: string;
}

/**
 * A table whose first column names its rows. Where the screen is too narrow for its columns its box scrolls, and its
 * caption stays in sight; on the narrowest each row is a paragraph, in which cells have the titles of their columns.
 */
export function htmlTable(
  caption: string,
  head: readonly { readonly title: string; readonly about?: string }[],
  rows: readonly (readonly (string | Cell)[])[],
): string {
  const header = head
    .map(
      ({ title, about }) =>
        `<th scope="col"${about === undefined ? '' : ` title="${escapeMarkup(about)}"`}>${escapeMarkup(title)}</th>`,
    )
    .join('');
  const body = rows
    .map(
      (row) =>
        `<tr>${row.map((cell, i) => cellOf(typeof cell === 'string' ? { text: cell } : cell, i === 0 ? undefined : head[i]!.title)).join('')}</tr>`,
    )
    .join('\n');
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeMarkup(caption)}"><table><caption><span>${escapeMarkup(caption)}</span></caption><thead><tr>${header}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

/** Of the first column without a title. */
function cellOf({ text, className }: Cell, title: string | undefined): string {
  const attribute = className === undefined ? '' : ` class="${className}"`;
  return title === undefined
    ? `<th scope="row"${attribute}>${escapeMarkup(text)}</th>`
    : `<td${attribute} data-title="${escapeMarkup(title)}">${escapeMarkup(text)}</td>`;
}
