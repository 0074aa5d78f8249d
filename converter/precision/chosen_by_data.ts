/** What pictures and prompts of `--calibrate` chose of a bundle's codes, as its manifest records it. */
export interface ChosenByData {
  /** sha256 of what the model was shown. */
  readonly shown: string;
  /** Those that chose and that judged, of which copies count once, and pictures with prompts beyond the limit. */
  readonly pictures: { readonly chose: number; readonly judged: number; readonly leftOut: number };
  /** Of how many matrices data could have chosen the codes. */
  readonly matrices: number;
  /** Those whose codes are of the search weighted by activations, and of GPTQ; all others are as without data. */
  readonly weighted: readonly string[];
  readonly gptq: readonly string[];
}

/** The matrices whose codes data chose; unknown of a bundle that does not record it. */
export type ChosenMatrices = ReadonlySet<string> | 'unknown';

/** What a manifest says of it. */
interface Recorded {
  readonly options: { readonly algorithm?: string | undefined; readonly calibrate: string };
  readonly chosenByData?: ChosenByData | undefined;
}

/** Whether data is asked to choose codes: a folder was named, and no algorithm that looks at a matrix alone. */
export function asksData({
  algorithm,
  calibrate = '',
}: {
  readonly algorithm?: string | undefined;
  readonly calibrate?: string | undefined;
}): boolean {
  return namesFolder(calibrate) && algorithm !== 'rtn' && algorithm !== 'hqq';
}

/**
 * Whether `--calibrate` names a set of the user's. The built-in pictures choose no codes: on a model that knows nothing
 * of them they made codes worse (docs/quality.md).
 */
export function namesFolder(calibrate: string | undefined): calibrate is string {
  return !['', 'none', 'default', undefined].includes(calibrate);
}

/** The matrices for which data won. */
export function wonByData(chosen: ChosenByData | undefined): ReadonlySet<string> {
  return new Set(chosen && [...chosen.weighted, ...chosen.gptq]);
}

/** Of a bundle with codes. One that was made before this was recorded knows only whether data was asked. */
export function matricesChosen({ options, chosenByData }: Recorded): ChosenMatrices {
  const isKnown = chosenByData !== undefined || !(asksData(options) || options.algorithm === 'gptq');
  return isKnown ? wonByData(chosenByData) : 'unknown';
}

/** A sentence about it for people. */
export function choiceSentence({ pictures, matrices, weighted, gptq }: ChosenByData): string {
  if (pictures.judged === 0) return 'one picture chose no codes, since no other was there to judge them.';
  const sides = `${counted(pictures.chose)} chose codes, and ${pictures.judged} judged them`;
  if (matrices === 0) return `${sides}: of no matrix, for none has a format whose codes data can choose.`;
  const won = weighted.length + gptq.length;
  const ways = [
    ...(weighted.length > 0 ? [`by the weighted search for ${weighted.length}`] : []),
    ...(gptq.length > 0 ? [`by GPTQ for ${gptq.length}`] : []),
  ];
  return `${sides}; data won for ${[`${won} of ${matrices} matrices`, ...ways].join(', ')}.`;
}

/** What of a folder was not looked at; undefined where all was. */
export function leftOutSentence(shown: number, leftOut: number): string | undefined {
  if (leftOut === 0) return undefined;
  return `${leftOut} of ${shown + leftOut} pictures with prompts were left out: more than ${shown} are not shown.`;
}

function counted(pictures: number): string {
  return pictures === 1 ? '1 picture' : `${pictures} pictures`;
}
