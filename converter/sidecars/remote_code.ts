import type { PlainJson } from '../checkpoints/strict_json.ts';
import { isFields, type JsonFields } from './sidecar.ts';

/**
 * Fields by which a client finds and runs code of the checkpoint's own, or is told to: classes and pipelines in Python,
 * a generate of its own, templates in Jinja. A bundle has none of it.
 */
const CODE = new Set([
  'auto_map',
  'trust_remote_code',
  'custom_pipelines',
  'custom_generate',
  'chat_template',
  'custom_object_save',
]);

/** Fields without those that name code, wherever they stand, and which were left out. */
export function withoutCode(fields: JsonFields): { readonly fields: JsonFields; readonly left: readonly string[] } {
  const left = new Set<string>();
  const clean = (value: PlainJson): PlainJson => {
    if (Array.isArray(value)) return value.map(clean);
    if (!isFields(value)) return value;
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, member]) => {
        if (!CODE.has(key)) return [[key, clean(member)] as const];
        if (member !== null && member !== false) left.add(key);
        return [];
      }),
    );
  };
  return { fields: clean(fields) as JsonFields, left: [...left] };
}

/** What a file's note says of them. */
export function codeNotes(name: string, left: readonly string[]): readonly string[] {
  return left.length === 0
    ? []
    : [`${name}: left out ${left.join(', ')}: code of the checkpoint’s own, which nobody here has run.`];
}
