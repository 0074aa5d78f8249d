import { z } from 'zod';

/** Numbers that JSON does not have are texts. */
export const number = z
  .union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])])
  .describe('numbers that JSON does not have are texts');
export const count = z.int().nonnegative();
/** From 0 to 1. */
export const share = number.describe('from 0 to 1; numbers that JSON does not have are texts');

export const precision = z.enum(['fp32', 'fp16', 'bf16', 'int8', 'int4', 'nf4', 'q4f16']);
export const phase = z.enum(['vision', 'prefill', 'suffix', 'masks']);

/** What an adapter did to a module. */
export const change = z.object({
  adapter: z.string(),
  module: z.string().describe('as the adapter spells it, without PEFT’s prefix; a bias ends with .bias'),
  weight: z.string().describe('canonical name of the weight'),
  kind: z.enum(['lora', 'dora', 'bias', 'replaced', 'tokens']),
  norm: number.describe('Frobenius norm of the change, with every scale in it'),
  relative: number.optional().describe('the same as a part of the weight’s own norm, where that was read'),
  rank: z.number().optional(),
  scaling: number.optional().describe('scale · alpha / rank (rsLoRA: / √rank)'),
});

/** What went wrong, with its place and its way out. */
export const errorReport = z.object({
  code: z.string().describe('docs/error-codes.md lists them'),
  message: z.string(),
  file: z.string().optional(),
  tensor: z.string().optional(),
  offset: z.number().optional().describe('byte offset in the file'),
  hint: z.string().optional().describe('what to do'),
});

/** Where a bundle ran. */
export const device = z.object({
  name: z.string().describe('as --device names it'),
  host: z.string().describe('whose process it was: Node or a browser, with its version'),
  cpu: z.object({
    model: z.string().describe('empty where the system does not tell'),
    architecture: z.string(),
    threads: count,
  }),
  gpu: z
    .object({
      vendor: z.string(),
      architecture: z.string(),
      device: z.string(),
      description: z.string().describe('with the driver, where it is told'),
      software: z.boolean().describe('whether the CPU computes'),
      features: z.array(z.string()),
      language: z.array(z.string()).describe('of its WGSL, beyond the first version’s'),
      limits: z.record(z.string(), z.number()),
    })
    .optional(),
});
