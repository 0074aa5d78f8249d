import { afterEach, expect, it, vi } from 'vitest';
import { BundleAddress } from './bundle_address.ts';

afterEach(() => vi.unstubAllGlobals());

it('knows its files however they are spelled, and no others', () => {
  const address = new BundleAddress("https://a.b/models/it's/");
  for (const url of [
    "https://a.b/models/it's/onnx/x.onnx",
    'https://a.b/models/it%27s/onnx/x.onnx?download=true',
    "https://A.B:443/models/./other/../it's/onnx%2Fx.onnx#y",
  ])
    expect(address.pathOf(url)).toBe('onnx/x.onnx');
  for (const url of [
    "https://a.b/models/it's",
    "http://a.b/models/it's/x",
    "https://a.b/models/it's/../x",
    'blob:x',
    'https://a.b/%',
  ])
    expect(address.pathOf(url)).toBeUndefined();
});

it('is relative to what fetch takes addresses relative to', () => {
  vi.stubGlobal('location', { href: 'https://a.b/page/index.html' });
  expect(new BundleAddress('./mix').base.href).toBe('https://a.b/page/mix/');
  vi.stubGlobal('document', { baseURI: 'https://a.b/other/' });
  const address = new BundleAddress('mix');
  expect(address.base.href).toBe('https://a.b/other/mix/');
  expect(address.pathOf('/other/mix/config.json')).toBe('config.json');
});
