import { visible } from './visible.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Text in HTML, SVG or XML 1.0, in elements and in quoted attributes. What is unseen is shown as on a
 * terminal: XML cannot hold most of it.
 */
export function escapeMarkup(text: string): string {
  return visible(text).replaceAll(/[&<>"']/g, (c) => ENTITIES[c]!);
}
