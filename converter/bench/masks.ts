import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAnswer } from '../../backends/client/answers/parse_answer.ts';
import type { AnswerObject } from '../../backends/client/answers/objects.ts';
import type { Backend } from '../../backends/backend.ts';
import { findBackend } from '../../backends/find_backend.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { bundleProcessor, bundleTokenizer, openStaged, type BundleModel } from '../bundle/open_bundle.ts';
import { readManifest } from '../bundle/manifest.ts';
import { convert } from '../compile/convert.ts';
import { decodeImage } from '../images/decode.ts';
import { narrowingFor, PRECISIONS } from '../precision/precision.ts';
import { answer } from '../samples/answer.ts';
import { masksOf } from '../samples/answer_masks.ts';
import { maskOverlap, pastedMasks } from '../samples/mask_overlap.ts';
import { readTrueMasks, type TrueMasks } from '../samples/true_masks.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tableText } from '../terminal/table.ts';

const FIXTURE = 'fixtures/segments';

/** A bundle whose masks are measured, where it runs, and on how many of the 120 pictures. */
interface Variant {
  readonly backend: string;
  readonly precision: Precision;
  readonly device: string;
  readonly cases: number;
}

/** Where each backend is measured, and on how many pictures: a software GPU takes seconds for each. */
const PLACES = [
  { backend: 'onnx', device: 'cpu', cases: Infinity },
  { backend: 'tfjs', device: 'wasm', cases: 30 },
  { backend: 'wgsl', device: 'software', cases: 30 },
] as const;

/** Every precision that each backend has for its usual target. */
async function variants(): Promise<readonly Variant[]> {
  const all: Variant[] = [];
  for (const place of PLACES) {
    const backend = await findBackend(place.backend);
    for (const precision of PRECISIONS)
      if (backend.refusal(precision) === undefined && isNarrowed(backend, precision)) all.push({ ...place, precision });
  }
  return all;
}

function isNarrowed(backend: Backend, precision: Precision): boolean {
  try {
    narrowingFor(precision, backend);
    return true;
  } catch {
    return false;
  }
}

interface Case {
  readonly image: string;
  readonly prompt: string;
  readonly text: string;
}

/** How well the masks of answers fit those that were drawn: means over pictures of intersection by union. */
export interface MaskMeasurement {
  readonly label: string;
  readonly cases: number;
  /** Answers that are the original's, letter by letter. */
  readonly same: number;
  readonly iou: number;
  /** With the codes of the next picture's object in the box of this one. */
  readonly shuffled: number;
}

/** Every precision and backend, and what Hugging Face said, on the pictures of fixtures/segments. */
export async function measureMasks(
  folder: string,
  wanted: readonly string[] | undefined,
  log: (line: string) => void,
): Promise<readonly MaskMeasurement[]> {
  const { cases } = JSON.parse(await readFile(join(FIXTURE, 'eval.json'), 'utf8')) as { cases: readonly Case[] };
  const measured: MaskMeasurement[] = [];
  for (const variant of await variants()) {
    const { backend, precision, device } = variant;
    const label = `${backend} ${precision}, ${device}`;
    if (wanted && !wanted.includes(`${backend}:${precision}`)) continue;
    const out = join(folder, `segments-${backend}-${precision}`);
    await convert(
      {
        checkpoint: join(FIXTURE, 'hf'),
        maskDecoder: join(FIXTURE, 'vae-oid.npz'),
        backend,
        precision,
        out,
        verify: false,
        force: true,
      },
      silentReporter,
    );
    const manifest = await readManifest(out);
    const model = await openStaged(out, manifest, { device });
    try {
      const some = cases.slice(0, variant.cases);
      if (measured.length === 0)
        measured.push(await measure('Hugging Face, f32', model, cases, async ({ text }) => text));
      const [tokenizer, processor] = [await bundleTokenizer(out, manifest), await bundleProcessor(out, manifest)];
      measured.push(
        await measure(label, model, some, async ({ image, prompt }) => {
          const picture = await decodeImage(join(FIXTURE, 'images', image), { mode: processor.mode });
          return (await answer(model, tokenizer!, { image: picture, prompt, processor, maxNewTokens: 40 })).text;
        }),
      );
      const { iou, shuffled, cases: count, same } = measured.at(-1)!;
      log(`${label}: mIoU ${iou.toFixed(3)} on ${count}, shuffled ${shuffled.toFixed(3)}, ${same} answers the same`);
    } finally {
      await model.dispose();
    }
  }
  return measured;
}

async function measure(
  label: string,
  model: BundleModel,
  cases: readonly Case[],
  textOf: (each: Case) => Promise<string>,
): Promise<MaskMeasurement> {
  const texts: string[] = [];
  for (const each of cases) texts.push(await textOf(each));
  const objects = texts.map((text) => parseAnswer(text).objects[0]);
  const codes = objects.map((object) => object?.codes);
  let [iou, shuffled] = [0, 0];
  for (const [i, { image }] of cases.entries()) {
    const truth = await readTrueMasks(join(FIXTURE, 'images', image), [join(FIXTURE, 'masks', image)]);
    iou += await overlap(model, objects[i], truth);
    const other = codes[(i + 1) % codes.length];
    shuffled += await overlap(model, objects[i] && other ? { ...objects[i], codes: other } : undefined, truth);
  }
  const count = cases.length;
  const same = texts.filter((text, i) => text === cases[i]!.text).length;
  return { label, cases: count, same, iou: iou / count, shuffled: shuffled / count };
}

/** Of an object's mask and what was drawn; 0 for an answer without one. */
async function overlap(
  model: BundleModel,
  object: AnswerObject | undefined,
  { size, masks }: TrueMasks,
): Promise<number> {
  const objects = object ? [object] : [];
  return maskOverlap(pastedMasks(objects, await masksOf(model, objects), size), masks);
}

/** As a table. */
export function masksReport(measured: readonly MaskMeasurement[]): string {
  return tableText(
    ['', 'pictures', 'answers as the original’s', 'mIoU', 'codes of another object'],
    measured.map(({ label, cases, same, iou, shuffled }) => [label, cases, same, iou.toFixed(3), shuffled.toFixed(3)]),
    [1, 2, 3, 4],
  );
}
