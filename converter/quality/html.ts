/** Text in HTML, in elements and in attributes with double quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** A cell of a table, with a class for the style sheet. */
export interface Cell {
  readonly text: string;
  readonly className?: string;
}

/** A table whose first column names its rows, in a box that scrolls on narrow screens. */
export function htmlTable(
  caption: string,
  head: readonly { readonly title: string; readonly about?: string }[],
  rows: readonly (readonly (string | Cell)[])[],
): string {
  const header = head
    .map(
      ({ title, about }) =>
        `<th scope="col"${about === undefined ? '' : ` title="${escapeHtml(about)}"`}>${escapeHtml(title)}</th>`,
    )
    .join('');
  const body = rows
    .map(
      (row) =>
        `<tr>${row.map((cell, i) => cellOf(typeof cell === 'string' ? { text: cell } : cell, i === 0)).join('')}</tr>`,
    )
    .join('\n');
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${header}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

function cellOf({ text, className }: Cell, isHead: boolean): string {
  const attribute = className === undefined ? '' : ` class="${className}"`;
  return isHead ? `<th scope="row"${attribute}>${escapeHtml(text)}</th>` : `<td${attribute}>${escapeHtml(text)}</td>`;
}
