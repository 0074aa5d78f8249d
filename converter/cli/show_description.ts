import type { Description } from '../../backends/description.ts';
import { table } from '../terminal/table.ts';
import { printed, type Io } from './io.ts';

/** Prints what a backend tells of a bundle or a file: as JSON, or its lines and tables, with `tensors` every tensor. */
export function showDescription(
  io: Io,
  { data, parts, tensors }: Description,
  flags: { readonly json?: boolean; readonly tensors?: boolean },
): void {
  if (flags.json) return io.out(printed('inspect', data));
  for (const part of flags.tensors && tensors ? [...parts, tensors] : parts)
    io.out(typeof part === 'string' ? part : table(part.head, part.rows, part.numeric));
}
