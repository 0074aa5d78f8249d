import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { caseMember, type VerifyCase } from './cases.ts';
import { checkLogits, checkOf, checkValues, type Check } from './check.ts';
import { encodeImages, planExtend, planPrefill, type Model, type PlannedStep } from './decode.ts';
import { difference } from './metrics.ts';
import { batchMember, joinPositions, lastPositions, rowsOf, slicePositions } from './rows.ts';
import { runCase, type Outcome } from './run_case.ts';
import type { Tolerances } from './tolerances.ts';

/**
 * What must hold of a PaliGemma whatever the reference says, so that a mistake on both sides still shows (spec H.14 to
 * H.16). Splitting the prompt itself is not among them: in a prefix-LM its first tokens see its last, so prefill(n + 1)
 * and prefill(n) + decode(1) differ by design; a causal suffix is what can be split.
 */
export async function checkInvariants(model: Model, verifyCase: VerifyCase, tolerances: Tolerances): Promise<Check[]> {
  const { metadata } = model;
  const one = verifyCase.inputIds.shape[0] === 1 ? verifyCase : caseMember(verifyCase, 0, metadata);
  const { features } = await encodeImages(model, one.pixelValues);
  const logitsToKeep = one.logitsToKeep === 1 ? 2 : one.logitsToKeep;
  const withOther = (ids: Tensor) => withOtherLast(ids, metadata.vocabSize, metadata.imageTokenId);
  // all is planned before anything is waited for
  const asked = { logitsToKeep, keepsCache: false };
  const prompt = await planPrefill(model, one, features, asked);
  const other = await planPrefill(model, { ...one, inputIds: withOther(one.inputIds) }, features, asked);
  const suffix = await planSuffix(model, prompt, one.suffixIds, withOther);
  const [{ logits }, { logits: otherLogits }] = [await prompt.done, await other.done];
  const checks = [checkSeesLast(verifyCase.name, logits, otherLogits, metadata.vocabSize)];
  if (!suffix) return checks;
  const whole = await suffix.whole.done;
  const parts: Tensor[] = [];
  for (const { done } of suffix.oneByOne) parts.push((await done).logits);
  checks.push(
    checkLogits(
      { case: verifyCase.name, output: 'suffix at once = token by token' },
      whole.logits,
      joinPositions(parts),
      tolerances,
      { columns: metadata.vocabSize },
    ),
  );
  const otherSuffix = await suffix.other.done;
  const earlier = (all: Tensor) => slicePositions(all, 0, all.shape[1]! - 1);
  checks.push(
    checkValues(
      { case: verifyCase.name, output: 'suffix does not see ahead' },
      earlier(otherSuffix.logits),
      earlier(whole.logits),
      [tolerances.unseen],
      { columns: metadata.vocabSize },
    ),
  );
  return checks;
}

/** A suffix behind a prompt at once, token by token, and with another last token; undefined for one of a token. */
async function planSuffix(
  model: Model,
  prompt: PlannedStep,
  ids: Tensor | undefined,
  withOther: (ids: Tensor) => Tensor,
): Promise<{ whole: PlannedStep; oneByOne: readonly PlannedStep[]; other: PlannedStep } | undefined> {
  const count = ids?.shape[1] ?? 0;
  if (!ids || count < 2) return undefined;
  const whole = await planExtend(model, prompt.state, ids, { keepsCache: false });
  const oneByOne: PlannedStep[] = [];
  let { state } = prompt;
  for (let i = 0; i < count; i++) {
    const step = await planExtend(model, state, idAt(ids, i), { keepsCache: false });
    oneByOne.push(step);
    ({ state } = step);
  }
  return { whole, oneByOne, other: await planExtend(model, prompt.state, withOther(ids), { keepsCache: false }) };
}

/** The first compared position must feel the last prompt token. Any bit will do: a causal mask leaves none. */
function checkSeesLast(name: string, logits: Tensor, other: Tensor, columns: number): Check {
  const first = (t: Tensor) => rowsOf(slicePositions(t, 0, 1), { columns });
  const { maxAbs } = difference(first(other), first(logits));
  const bounds = [
    { metric: 'maxAbs', atLeast: Number.MIN_VALUE, reason: 'a prompt is bidirectional: its first tokens see its last' },
  ] as const;
  return checkOf({ case: name, output: 'prompt sees ahead' }, { maxAbs }, bounds);
}

/** Rows of a batch against themselves alone: padding and neighbours must not matter. */
export async function checkRowsAlone(
  model: Model,
  verifyCase: VerifyCase,
  whole: Promise<Outcome>,
  tolerances: Tolerances,
  follow?: readonly (readonly number[])[],
): Promise<Check[]> {
  const batch = verifyCase.inputIds.shape[0]!;
  if (batch === 1) return [];
  const rows = Promise.all(
    Array.from({ length: batch }, (_, row) =>
      runCase(model, caseMember(verifyCase, row, model.metadata), follow ? { follow: [follow[row]!] } : {}),
    ),
  );
  const [batched, outcomes] = await Promise.all([whole, rows]);
  const checks: Check[] = [];
  for (const [row, alone] of outcomes.entries()) {
    const kept = alone.prefillLogits!.shape[1]!;
    const inBatch = partsOf({ ...batched, prefillLogits: lastPositions(batched.prefillLogits!, kept) }).map((part) =>
      batchMember(part, row),
    );
    checks.push(
      checkLogits(
        { case: verifyCase.name, output: `row ${row} in the batch = alone` },
        joinPositions(inBatch),
        joinPositions(partsOf(alone)),
        tolerances,
        { columns: model.metadata.vocabSize },
      ),
    );
    if (!alone.prefillEmbeddings || !batched.prefillEmbeddings) continue;
    const vectorsInBatch = vectorsOf({
      ...batched,
      prefillEmbeddings: lastPositions(batched.prefillEmbeddings, alone.prefillEmbeddings.shape[1]!),
    }).map((part) => batchMember(part, row));
    checks.push(
      checkValues(
        { case: verifyCase.name, output: `embeddings of row ${row} in the batch = alone` },
        joinPositions(vectorsInBatch),
        joinPositions(vectorsOf(alone)),
        tolerances.embeddings,
      ),
    );
  }
  return checks;
}

function vectorsOf({ prefillEmbeddings, suffixEmbeddings }: Outcome): Tensor[] {
  return [prefillEmbeddings, suffixEmbeddings].filter((t) => t !== undefined);
}

function partsOf({ prefillLogits, suffixLogits, greedy }: Outcome): Tensor[] {
  return [prefillLogits, suffixLogits, greedy?.logits].filter((t) => t !== undefined);
}

/** Another token in place of the last of each row. */
function withOtherLast(ids: Tensor, vocabSize: number, imageTokenId: number): Tensor {
  const data = [...ids.data];
  const length = ids.shape[1]!;
  for (let at = length - 1; at < data.length; at += length) {
    let other = (data[at]! + Math.floor(vocabSize / 2)) % vocabSize;
    if (other === imageTokenId) other = (other + 1) % vocabSize;
    data[at] = other;
  }
  return tensorOf(ids.dtype, ids.shape, data);
}

function idAt(ids: Tensor, at: number): Tensor {
  const [batch, length] = ids.shape as readonly [number, number];
  return tensorOf(
    'i64',
    [batch, 1],
    Array.from({ length: batch }, (_, b) => ids.data[b * length + at]!),
  );
}
