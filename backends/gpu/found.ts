/** Something that a machine may lack: what was found, or why it was not and what to do about it. */
export type Found<T> = { readonly value: T } | { readonly missing: string };
