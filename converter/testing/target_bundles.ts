import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { Target } from '../../backends/onnx/target.ts';
import { onnx } from '../../backends/onnx/index.ts';
import type { Provider } from '../../backends/onnx/session.ts';
import type { Program } from '../../ir/graph.ts';
import { runPassesOnProgram, type Pass } from '../../ir/passes/index.ts';
import { readRecorded } from '../../verify/recorded.ts';
import { reportText } from '../../verify/report.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';
import { paligemma } from '../models/paligemma.ts';
import { passesFor } from '../precision/precision.ts';

/** Models whose programs the targets are tried with. */
export const FIXTURES = ['pg1-tiny', 'pg2-tiny', 'pg2-window'] as const;
export type Fixture = (typeof FIXTURES)[number];
/** Bundles of the fixtures for ONNX's targets, in a temporary folder, and what they compute. */
export class TargetBundles {
  readonly root: string;
  readonly programs: ReadonlyMap<Fixture, Program>;
  readonly #open: readonly { close(): Promise<void> }[];
  #made = 0;

  private constructor(
    root: string,
    programs: ReadonlyMap<Fixture, Program>,
    open: readonly { close(): Promise<void> }[],
  ) {
    this.root = root;
    this.programs = programs;
    this.#open = open;
  }

  static async open(): Promise<TargetBundles> {
    const root = await mkdtemp(join(tmpdir(), 'pgconv-targets-'));
    const open: { close(): Promise<void> }[] = [];
    const programs = new Map<Fixture, Program>();
    for (const fixture of FIXTURES) {
      const checkpoint = await openCheckpoint(`fixtures/${fixture}/hf`);
      open.push(checkpoint);
      programs.set(fixture, (await paligemma.load(checkpoint)).program);
    }
    return new TargetBundles(root, programs, open);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((file) => file.close()));
    await rm(this.root, { recursive: true, force: true });
  }

  /** A bundle of its own, in a folder. */
  async make(
    fixture: Fixture,
    target: Target,
    passes: readonly Pass[] = passesFor('fp32'),
    precision = 'fp32',
  ): Promise<string> {
    const dir = join(this.root, String(this.#made++));
    await writeTarget(this.programs.get(fixture)!, target, dir, passes, precision);
    return dir;
  }

  /** Against what the original implementations recorded. */
  async verified(
    fixture: Fixture,
    dir: string,
    device: Provider,
    precision: Precision = 'fp32',
  ): Promise<VerifyReport> {
    const golden = await openSafetensors(`fixtures/${fixture}/golden.safetensors`);
    const { cases, reference } = await readRecorded(golden.tensors);
    const candidate = await onnx.open(dir, { device });
    try {
      return await verifyProgram({
        candidate,
        reference,
        metadata: this.programs.get(fixture)!.metadata,
        cases,
        precision,
        invariants: false,
      });
    } finally {
      await candidate.dispose();
      await golden.close();
    }
  }

  /** The same, which has to pass. */
  async expectVerified(
    fixture: Fixture,
    target: Target,
    device: Provider,
    dir: string,
    precision: Precision = 'fp32',
  ): Promise<void> {
    const report = await this.verified(fixture, dir, device, precision);
    expect(report.passed, `${fixture} ${target} ${device}\n${reportText(report)}`).toBe(true);
  }
}

/** A program as a target's bundle. */
export async function writeTarget(
  program: Program,
  target: Target,
  dir: string,
  passes: readonly Pass[] = passesFor('fp32'),
  precision = 'fp32',
): Promise<void> {
  for (const file of onnx.emit(runPassesOnProgram(program, passes), { precision, target }).files) {
    const pieces: Uint8Array[] = [];
    for await (const { bytes } of file.chunks()) pieces.push(bytes);
    await mkdir(dirname(join(dir, file.path)), { recursive: true });
    await writeFile(join(dir, file.path), Buffer.concat(pieces));
  }
}
