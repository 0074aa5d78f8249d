import type { TensorData } from '../../ir/tensor.ts';
import { UsageError } from '../errors.ts';
import { modelArrays } from './tree_root.ts';

/**
 * The towers of a PaliGemma, which keep their name when they are selected; any other subtree is taken for the whole.
 */
const TOWERS = ['img', 'llm'];

/**
 * The arrays under `selector`, whose root (`params/`, `opt/target/`) need not be named; `img` and `llm` stay where they
 * belong.
 * @param file for messages
 * @throws UsageError that lists what can be selected
 */
export function selectSubtree(
  tensors: ReadonlyMap<string, TensorData>,
  selector: string,
  file: string,
): ReadonlyMap<string, TensorData> {
  const { arrays } = modelArrays(tensors);
  const last = selector.slice(selector.lastIndexOf('/') + 1);
  const place = TOWERS.includes(last) ? `${last}/` : '';
  for (const tree of [arrays, tensors]) {
    const selected = [...tree].filter(([name]) => name.startsWith(`${selector}/`));
    if (selected.length > 0)
      return new Map(selected.map(([name, data]) => [place + name.slice(selector.length + 1), data]));
  }
  const subtrees = [...new Set([...arrays.keys()].map((name) => name.split('/', 1)[0]!))];
  throw new UsageError(
    'unknown_subtree',
    `there is no subtree "${selector}"; the file has ${subtrees.slice(0, 12).join(', ')}${subtrees.length > 12 ? ', …' : ''}`,
    {
      file,
      hint: 'select one of them after the colon, or give the file without a selector',
    },
  );
}
