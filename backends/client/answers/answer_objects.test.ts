import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answerObjects } from './answer_objects.ts';
import { parseAnswer } from './parse_answer.ts';

const BOX = '<loc0001><loc0002><loc0003><loc0004>';
const MASK = '<seg007>'.repeat(16);

/** What had been given when each object was told. */
async function told(pieces: readonly string[]) {
  let given = 0;
  async function* generated() {
    for (const piece of pieces) {
      given++;
      yield piece;
    }
  }
  const found: { readonly name: string; readonly given: number }[] = [];
  for await (const { name } of answerObjects(generated())) found.push({ name, given });
  return found;
}

test('an object is told when what comes behind it shows that it is complete', async () => {
  expect(await told([BOX, MASK, ' ca', 't', ' ;', ' ', BOX, ' dog', BOX.slice(0, 9), BOX.slice(9), ' fish'])).toEqual([
    { name: 'cat', given: 5 },
    { name: 'dog', given: 9 },
    { name: 'fish', given: 11 },
  ]);
});

test('an answer in words tells none, and one that is cut off tells what it has', async () => {
  expect(await told(['a cat', ' on a mat; and', ' a dog'])).toEqual([]);
  expect(await told([BOX, MASK.slice(0, 16)])).toEqual([{ name: '', given: 2 }]);
  expect(await told([])).toEqual([]);
});

test('however an answer comes, its objects are those of the whole', async () => {
  const part = fc.constantFrom(BOX, MASK, ' cat', ' ; ', ';', '<loc0005>', '<seg009>', ' ', '<loc', '>');
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 14 }),
      fc.array(fc.nat(12), { maxLength: 60 }),
      async (parts, cuts) => {
        const text = parts.join('');
        const pieces: string[] = [];
        let at = 0;
        for (const length of cuts) pieces.push(text.slice(at, (at += length)));
        pieces.push(text.slice(at));
        const found = [];
        for await (const object of answerObjects(pieces)) found.push(object);
        expect(found).toEqual(parseAnswer(text).objects);
      },
    ),
  );
});

test.each([' ;', '<loc0001>', '<seg001>', 'cat<loc0001>'])(
  'a model that says %s for ever costs no more a piece',
  async (piece) => {
    const started = performance.now();
    for await (const _ of answerObjects(new Array<string>(20_000).fill(piece)));
    expect(performance.now() - started).toBeLessThan(5000);
  },
);
