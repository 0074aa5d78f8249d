import { expect } from 'vitest';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { maskErrors, MASK_LIMIT } from '../testing/mask_goldens.ts';

/* Masks on a GPU: as masks.test.ts has them on CPUs; while an answer is generated: masks.slow.test.ts. */

for (const backend of ['wgsl', 'onnx', 'tfjs'])
  itOnGpu(
    `the decoder of ${backend} makes the original’s masks on webgpu`,
    async () => {
      expect((await maskErrors(backend, 'webgpu')).maxAbs).toBeLessThan(MASK_LIMIT);
    },
    240_000,
  );
