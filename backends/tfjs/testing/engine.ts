import type * as Converter from '@tensorflow/tfjs-converter';
import type { Tfjs } from '../driver/tfjs.ts';
import { nodeTfjs, type TfDevice } from '../node_tfjs.ts';

/** Where tests compute. */
export type Device = TfDevice;

export interface Engine {
  readonly tf: Tfjs;
  readonly converter: Pick<typeof Converter, 'loadGraphModel' | 'registerOp' | 'GraphModel'>;
}

/** tfjs with one of its backends in use; it has one engine a process. */
export async function testEngine(device: Device): Promise<Engine> {
  const tf = await nodeTfjs(device);
  return { tf, converter: tf };
}
