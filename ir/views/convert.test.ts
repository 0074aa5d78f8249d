import { expect, test } from 'vitest';
import { u4 } from '../dtypes/u4.ts';
import { bytesData, readBytes, readTensor } from '../tensor.ts';
import { castData } from './cast.ts';
import { useCastKernels } from './convert.ts';

test.each([0, 1, 2, 511, 512])('%d values of u8 to u4: as the codec rounds', async (count) => {
  const bytes = Uint8Array.from({ length: count }, (_, i) => i % 256);
  const packed = castData(bytesData('u8', [count], bytes), 'u4');
  expect([...(await readTensor(packed)).data]).toEqual([...bytes].map((x) => u4.round(x)));
  if (count % 2 === 1) expect((await readBytes(packed)).at(-1)! >> 4).toBe(0);
});

test('kernels that were given are used', async () => {
  let elements = 0;
  useCastKernels({
    'i32 to i8': (source, count) => {
      elements += count;
      return source.slice(0, count);
    },
  });
  await readBytes(castData(bytesData('i32', [6], new Uint8Array(24)), 'i8'));
  expect(elements).toBe(6);
});
