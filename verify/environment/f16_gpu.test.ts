import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { f16Gpu, withF16Libraries } from './f16_gpu.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pgconv-f16-'));
  mkdirSync(join(dir, 'pgconv/lavapipe'), { recursive: true });
  writeFileSync(join(dir, 'pgconv/lavapipe/lvp.json'), '{}');
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('f16Gpu', () => {
  it('is the driver that was fetched, or what fetches it', () => {
    expect(f16Gpu({ XDG_CACHE_HOME: dir, HOME: '/nowhere' })).toEqual({
      value: { VK_DRIVER_FILES: join(dir, 'pgconv/lavapipe/lvp.json') },
    });
    expect(f16Gpu({ HOME: dir })).toEqual({ missing: expect.stringContaining('fetch_lavapipe.sh') });
    expect(f16Gpu({ HOME: dir, PGCONV_GPU: 'system' })).toEqual({ value: {} });
  });

  it('leaves libraries that are there in front', () => {
    const folder = join(dir, 'pgconv/lavapipe/lib');
    expect(withF16Libraries({ XDG_CACHE_HOME: dir, LD_LIBRARY_PATH: '/a:/b' })).toBe(`/a:/b:${folder}`);
    expect(withF16Libraries({ XDG_CACHE_HOME: dir, LD_LIBRARY_PATH: `${folder}:/a` })).toBe(`/a:${folder}`);
    expect(withF16Libraries({ XDG_CACHE_HOME: dir })).toBe(folder);
  });
});
