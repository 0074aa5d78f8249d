/**
 * Results of `run` in the order of `items`, with at most `width` of them under way: memory stays bounded however long
 * the items are.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  width: number,
  run: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const under: Promise<R>[] = [];
  for await (const item of items) {
    const result = run(item);
    result.catch(() => {}); // reported when its turn comes
    under.push(result);
    if (under.length >= width) yield await under.shift()!;
  }
  while (under.length > 0) yield await under.shift()!;
}
