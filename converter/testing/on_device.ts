import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import type { Recording } from './recording.ts';

/**
 * An fp32 bundle on a device against a recording, without its agreement with itself: each shape of the inputs that this
 * takes costs a software GPU seconds of compiling, and it is held against two models there in full
 * (webgpu.gpu.test.ts).
 */
export async function verifyOnDevice(bundle: string, device: string, recording: Recording): Promise<VerifyReport> {
  const model = await openBundle(bundle, device);
  try {
    return await verifyProgram({
      candidate: model.runner,
      ...recording,
      metadata: model.metadata,
      precision: 'fp32',
      invariants: false,
    });
  } finally {
    await model.dispose();
  }
}
