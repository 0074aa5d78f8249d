import { describe, expect, test } from 'vitest';
import { ModulePatterns } from './module_pattern.ts';

const place = { file: 'adapter_config.json' };
const matches = (key: string, module: string) => new ModulePatterns({ [key]: 1 }, place).firstMatch(module) === 1;

describe('patterns of PEFT', () => {
  // Each line checked with peft.utils.other.get_pattern_key.
  test.each([
    ['q_proj', 'model.layers.0.self_attn.q_proj', true],
    ['proj', 'model.layers.0.self_attn.q_proj', false],
    ['self_attn.q_proj', 'model.layers.0.self_attn.q_proj', true],
    ['layers.1', 'model.layers.1.mlp', false],
    ['q_proj', 'q_proj', true],
    ['^model.layers.0.q_proj', 'model.layers.0.q_proj', true],
    ['^layers.0.q_proj', 'model.layers.0.q_proj', false],
    ['q_proj$', 'model.q_proj', true],
    ['q|k', 'model.k', true],
    ['q|k', 'model.kk', false],
    [String.raw`layers\.\d+\.(q|v)_proj`, 'model.layers.11.v_proj', true],
    ['.*vision.*q_proj', 'model.vision_tower.layers.0.q_proj', true],
    ['Q_PROJ', 'model.q_proj', false],
    ['layers.0', 'model.layersx0', true],
    ['(?P<n>q|k)_proj', 'model.q_proj', true],
  ])('%s on %s: %s', (key, module, want) => {
    expect(matches(key, module)).toBe(want);
  });

  test('are tried in the order of the config', () => {
    const patterns = new ModulePatterns({ 'layers.0.q_proj': 1, q_proj: 2, k_proj: 3 }, place);
    expect(
      ['layers.0.q_proj', 'layers.1.q_proj', 'k_proj', 'v_proj'].map((module) => patterns.firstMatch(module)),
    ).toEqual([1, 2, 3, undefined]);
  });

  test.each([
    '(?i)q_proj',
    '(?=q)q_proj',
    '(?<!k)q_proj',
    '(?#x)q_proj',
    String.raw`q_proj\Z`,
    String.raw`(q|k)\1`,
    'q*+',
  ])('refuse %s, which only Python reads so', (key) => {
    expect(() => matches(key, 'q_proj')).toThrow(/only Python/);
  });

  test('of any kind are soon done with any name', () => {
    const name = 'model.layers.0.'.repeat(200);
    for (const key of ['(a+)+x', '(?:(a*))*x', '((a|b+)c?)*!', 'a*a*a*a*a*x', '(?:.|.)*!', '(?:a|a)*(?:a|a)*!']) {
      const start = performance.now();
      expect(matches(key, name)).toBe(false);
      expect(matches(key, 'a'.repeat(3000))).toBe(false);
      expect(performance.now() - start, key).toBeLessThan(1000);
    }
  });

  test('are as many as modules, and no more where they are more than names', () => {
    const many = (key: (i: number) => string, count: number) =>
      new ModulePatterns(Object.fromEntries(Array.from({ length: count }, (_, i) => [key(i), i])), place);
    expect(many((i) => `layers.${i}.q_proj`, 20_000).firstMatch('model.layers.19999.q_proj')).toBe(19_999);
    expect(() => many((i) => `layers.${i}.(q|k)_proj`, 513)).toThrow(/at most 512/);
  });

  test('refuse what is no regular expression, or endless', () => {
    expect(() => matches('q_proj(', 'q_proj')).toThrow(/no regular expression/);
    expect(() => matches(`${'q'.repeat(500)}*`, 'q_proj')).toThrow(/501 characters/);
    expect(() => matches('(?:a{1000}){1000}', 'q_proj')).toThrow(/no regular expression/);
  });
});
