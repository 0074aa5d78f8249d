import { spawn } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

/** What a shell left. */
export interface ShellResult {
  readonly code: number | null;
  readonly output: string;
}

/** Variables of a shell, beside those of the machine. */
export type Variables = Readonly<Record<string, string>>;

/** Runs a script as GitHub's runner does for `shell: bash`, or, with `errexit` alone, as GitLab's does. */
export async function runScript(
  script: string,
  {
    cwd,
    env,
    flags = ['--noprofile', '--norc', '-eo', 'pipefail'],
  }: {
    readonly cwd: string;
    readonly env: Variables;
    readonly flags?: readonly string[];
  },
): Promise<ShellResult> {
  const dir = await mkdtemp(join(tmpdir(), 'pgconv-step-'));
  try {
    const file = join(dir, 'step.sh');
    await writeFile(file, script);
    const child = spawn('bash', [...flags, file], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    return await new Promise((resolve, reject) => {
      child.once('error', reject).once('close', (code) => resolve({ code, output }));
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

interface Step {
  readonly id?: string;
  readonly name?: string;
  readonly uses?: string;
  readonly if?: string;
  readonly run?: string;
  readonly shell?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, string>>;
}

export interface CompositeAction {
  readonly inputs: Readonly<Record<string, { readonly default?: string; readonly required?: boolean }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

/** Reads an action.yml. */
export async function readAction(file: string): Promise<CompositeAction> {
  return parse(await readFile(file, 'utf8')) as CompositeAction;
}

export interface ActionRun {
  /** Of the first step that failed; 0: none did. */
  readonly code: number | null;
  /** Of shell steps that ran, by name. */
  readonly steps: Readonly<Record<string, ShellResult>>;
  readonly outputs: Variables;
}

/**
 * Runs the shell steps of a composite action, each as it stands, in a workspace: with its own environment and files of
 * the runner, and what earlier steps put out. Steps of other actions are passed by.
 * @throws Error for an expression that is more than a name: nothing here evaluates those
 */
export async function runAction(
  action: CompositeAction,
  {
    actionPath,
    workspace,
    inputs,
    env,
  }: {
    readonly actionPath: string;
    readonly workspace: string;
    readonly inputs: Variables;
    readonly env: Variables;
  },
): Promise<ActionRun> {
  const given = Object.fromEntries(
    Object.entries(action.inputs).map(([name, { default: usual, required }]) => {
      const value = inputs[name] ?? usual;
      if (value === undefined && required) throw new Error(`the input ${name} is required`);
      return [`inputs.${name}`, value ?? ''];
    }),
  );
  const known = new Map(Object.entries({ ...given, 'github.action_path': actionPath }));
  const evaluate = (text: string) =>
    text.replaceAll(/\$\{\{\s*(.*?)\s*\}\}/g, (_, expression: string) => {
      if (!/^(?:inputs|steps|github)\.[\w.-]+$/.test(expression)) throw new Error(`not evaluated here: ${expression}`);
      return known.get(expression) ?? '';
    });
  const runner = await mkdtemp(join(tmpdir(), 'pgconv-runner-'));
  const steps: Record<string, ShellResult> = {};
  let code: number | null = 0;
  try {
    for (const { id, name, run, if: condition, env: own = {} } of action.runs.steps) {
      if (run === undefined || code !== 0) continue;
      if (condition !== undefined)
        throw new Error(`a condition of a shell step, which is not evaluated here: ${condition}`);
      if (run.includes('${{')) throw new Error('an expression within a script: what it says would be run');
      const output = join(runner, 'output');
      await writeFile(output, '');
      const result = await runScript(run, {
        cwd: workspace,
        env: {
          ...env,
          ...Object.fromEntries(Object.entries(own).map(([key, value]) => [key, evaluate(value)])),
          GITHUB_ACTIONS: 'true',
          GITHUB_ACTION_PATH: actionPath,
          GITHUB_WORKSPACE: workspace,
          GITHUB_OUTPUT: output,
          GITHUB_STEP_SUMMARY: join(workspace, 'summary.md'),
        },
      });
      steps[name ?? id ?? run] = result;
      for (const line of (await readFile(output, 'utf8')).split('\n')) {
        const at = line.indexOf('=');
        if (at > 0) known.set(`steps.${id}.outputs.${line.slice(0, at)}`, line.slice(at + 1));
      }
      code = result.code;
    }
  } finally {
    await rm(runner, { recursive: true, force: true });
  }
  const outputs = Object.fromEntries(
    Object.entries(action.outputs).map(([name, { value }]) => [name, evaluate(value)]),
  );
  return { code, steps, outputs };
}

/** A folder for PATH, with programs that only note how they were called, in the file `calls`. */
export async function notingPrograms(dir: string, names: readonly string[]): Promise<{ path: string; calls: string }> {
  const calls = join(dir, 'calls');
  await appendFile(calls, '');
  for (const name of names)
    await writeFile(join(dir, name), `#!/bin/sh\necho "${name} $*" >>'${calls}'\n`, { mode: 0o755 });
  return { path: `${dir}:${process.env['PATH'] ?? ''}`, calls };
}
