import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkGraph } from './check.ts';
import { dtypes } from './dtypes/index.ts';
import { parseGraph } from './parse.ts';
import { printGraph } from './print.ts';

const page = readFileSync(new URL('../docs/ir-text.md', import.meta.url), 'utf8');
const graphs = [...page.matchAll(/```ir\n([^]*?)```/g)].map(([, text]) => text!);

describe('docs/ir-text.md', () => {
  it.each(graphs.map((text) => [/graph (\w+)/.exec(text)![1]!, text] as const))(
    'the graph %s parses, fits its types and is printed as it stands, without its comments',
    (_, text) => {
      const graph = parseGraph(text);
      checkGraph(graph);
      expect(printGraph(graph)).toBe(text.replaceAll(/^\/\/.*\n/gm, ''));
    },
  );

  it('lists the dtypes that there are', () => {
    const [, listed] = /Dtypes are those of `ir\/dtypes`: `([^`]*)`/.exec(page)!;
    expect(listed!.split(' ').toSorted()).toEqual(Object.keys(dtypes).toSorted());
  });

  it('has sizes in the form that is printed', () => {
    const [, sizes] = /\*\*Sizes\*\*[^:]*: ((?:`[^`]*`,? ?)+)\. Two/.exec(page)!;
    for (const [, size] of sizes!.matchAll(/`([^`]*)`/g)) {
      const text = `graph g {\n  input %x: f32[${size}]\n  output "y" = %x\n}\n`;
      expect(printGraph(parseGraph(text))).toBe(text);
    }
  });

  it('shows a message as it is', () => {
    const [, message] = /```\n(line .*)\n```/.exec(page)!;
    expect(() => parseGraph('graph g {\n  input %xyz: f33[2]\n}')).toThrow(message);
  });
});
