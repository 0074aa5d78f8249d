import { afterAll } from 'vitest';
import type { InputFile } from '../input_file.ts';
import { Inputs } from '../inputs.ts';

/** Makes inputs for the tests of a file, closed behind the last of them. */
export function inputsOfTests(): () => Inputs {
  const made: Inputs[] = [];
  afterAll(async () => {
    for (const inputs of made) await inputs.close();
  });
  return () => {
    const inputs = new Inputs();
    made.push(inputs);
    return inputs;
  };
}

/** Files by name, opened. */
export async function openAll<Name>(
  inputs: Inputs,
  paths: Iterable<readonly [Name, string]>,
): Promise<Map<Name, InputFile>> {
  const files = new Map<Name, InputFile>();
  for (const [name, path] of paths) files.set(name, await inputs.open(path));
  return files;
}
