import type { VerifyCase } from '../../verify/cases.ts';
import { readRecorded } from '../../verify/recorded.ts';
import type { Recorded } from '../../verify/recording.ts';
import { openSafetensors } from '../checkpoints/safetensors.ts';

export interface Recording {
  readonly cases: VerifyCase[];
  readonly reference: Recorded;
}

/** What another implementation recorded in a folder of fixtures; `stages` is empty where it recorded none. */
export async function readRecording(
  folder: string,
  golden = 'golden',
  stages = golden.replace('golden', 'stages'),
): Promise<Recording> {
  const outputs = await openSafetensors(`${folder}/${golden}.safetensors`);
  const intermediate = stages === '' ? undefined : await openSafetensors(`${folder}/${stages}.safetensors`);
  try {
    return await readRecorded(outputs.tensors, intermediate?.tensors, `${folder}/${golden}`);
  } finally {
    await outputs.close();
    await intermediate?.close();
  }
}
