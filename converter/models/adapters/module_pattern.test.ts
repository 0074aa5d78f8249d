import { describe, expect, test } from 'vitest';
import { firstMatch } from './module_pattern.ts';

const place = { file: 'adapter_config.json' };
const matches = (key: string, module: string) => firstMatch(new Map([[key, 1]]), module, place) === 1;

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
  ])('%s on %s: %s', (key, module, want) => {
    expect(matches(key, module)).toBe(want);
  });

  test('are tried in the order of the config', () => {
    const patterns = new Map([
      ['layers.0.q_proj', 1],
      ['q_proj', 2],
      ['k_proj', 3],
    ]);
    expect(
      ['layers.0.q_proj', 'layers.1.q_proj', 'k_proj', 'v_proj'].map((module) => firstMatch(patterns, module, place)),
    ).toEqual([1, 2, 3, undefined]);
  });

  test.each(['(?P<n>q)_proj', '(?i)q_proj', String.raw`q_proj\Z`, String.raw`(q|k)\1`, 'q*+'])(
    'refuse %s, which only Python reads so',
    (key) => {
      expect(() => matches(key, 'q_proj')).toThrow(/only Python/);
    },
  );

  test.each(['(a+)+x', '(?:(a*))*x', '((a|b+)c?)*', 'a*a*a*a*a*x'])('refuse %s, which could take forever', (key) => {
    expect(() => matches(key, 'a'.repeat(60))).toThrow(/forever/);
  });

  test('may repeat four times, which costs a polynomial of a name’s length, and no more often', () => {
    expect(matches('.*.*.*.*x', 'a.'.repeat(20))).toBe(false);
    expect(() => matches('.*.*.*.*.*x', 'a')).toThrow(/forever/);
  });

  test('refuse what is no regular expression, or endless', () => {
    expect(() => matches('q_proj(', 'q_proj')).toThrow(/no regular expression/);
    expect(() => matches('q'.repeat(501), 'q_proj')).toThrow(/501 characters/);
  });
});
