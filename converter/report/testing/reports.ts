import type { DeviceFacts } from '../../../backends/device_facts.ts';
import type { Measured } from '../../../verify/baseline.ts';
import type { StageDifference } from '../../../verify/divergence.ts';
import type { VerifyReport } from '../../../verify/verify.ts';

/** What the figures of these reports are of. */
export const measured: Measured = {
  precision: 'fp16',
  model: {
    family: 'paligemma',
    variant: '4x72 decoder',
    imageSize: 56,
    imageTokens: 16,
    imageTokenId: 600,
    vocabSize: 600,
    layers: 4,
    kvHeads: 1,
    headDim: 18,
    hiddenSize: 72,
  },
};

/** Where a bundle ran. */
export const device: DeviceFacts = {
  name: 'cpu',
  host: 'node 20.20.2',
  cpu: { model: 'a CPU', architecture: 'x64', threads: 2 },
};

const stage = (name: string, relativeL2: number, passed: boolean): StageDifference => ({
  phase: name.startsWith('vit') ? 'vision' : 'prefill',
  stage: name,
  relativeL2,
  maxAbs: 10 * relativeL2,
  passed,
});

/** Of a bundle that passed, with every stage of a case. */
export const soundReport: VerifyReport = {
  passed: true,
  candidate: 'onnxruntime-node 1.30.0 cpu',
  reference: 'IR evaluator, float64 by ONNX Runtime',
  precision: 'fp16',
  checks: [
    {
      case: 'three rows, left-padded',
      output: 'prefill logits',
      passed: true,
      metrics: { maxAbs: 0.012, relativeL2: 1.25e-4, cosine: 0.99999999, meanKld: 2.7e-7, sameTop1: 1 },
      bounds: [{ metric: 'relativeL2', value: 1.25e-4, atMost: 1e-2, reason: 'rounding of f16', passed: true }],
    },
  ],
  links: {
    weights: { verdict: 'held', tensors: 96, elements: 1951968 },
    program: { verdict: 'held', passed: 1, checks: 1 },
    original: { verdict: 'not tried', reason: 'no recording of its numbers was given (pgconv record)' },
  },
  greedyDifferences: [],
  stages: {
    case: 'three rows, left-padded',
    limit: 1e-2,
    stages: [stage('vit.0', 0, true), stage('lm.0', 2e-7, true), stage('lm.1', 1e-4, true)],
  },
  seconds: 8.5,
};

/** Of a bundle with a fault in its second layer. */
export const faultyReport: VerifyReport = {
  ...soundReport,
  passed: false,
  checks: ['prefill logits', 'suffix logits'].map((output) => ({
    case: 'three rows, left-padded',
    output,
    passed: false,
    metrics: { maxAbs: 6.8, relativeL2: 0.11, cosine: 0.9945876, meanKld: 0.26, sameTop1: 0.7745 },
    bounds: [
      { metric: 'relativeL2', value: 0.11, atMost: 1e-2, reason: 'rounding of f16', passed: false },
      { metric: 'sameTop1', value: 0.7745, atLeast: 0.995, reason: 'as published', passed: false },
    ],
    at: [0, 0, 0],
  })),
  links: { ...soundReport.links!, program: { verdict: 'failed', passed: 0, checks: 2 } },
  firstDivergingStage: {
    case: 'three rows, left-padded',
    phase: 'prefill',
    stage: 'lm.2',
    metric: 'relativeL2',
    value: 0.26,
    limit: 1e-2,
    stages: [
      stage('vit.0', 1e-4, true),
      stage('lm.1', 2e-4, true),
      stage('lm.2', 0.26, false),
      stage('lm.3', NaN, false),
    ],
  },
};

/** Names that a hostile file may have: markup, ends of lines, bars, controls and text that runs backwards. */
export const HOSTILE =
  'a|b\\|c\n| d | `e` ``f`` <script>alert(1)</script> </failure>]]> "&amp; *g* _h_ [i](https://j) @k #1 \u0000\u001b[31m\u202e\ud800';

/** A report in which every name is hostile. */
export const hostileReport: VerifyReport = {
  ...faultyReport,
  candidate: HOSTILE,
  reference: HOSTILE,
  checks: faultyReport.checks.map((check) => ({ ...check, case: HOSTILE, output: HOSTILE, note: HOSTILE })),
  links: { ...faultyReport.links!, weights: { verdict: 'failed', tensors: 1, elements: 1, reason: HOSTILE } },
  firstDivergingStage: {
    ...faultyReport.firstDivergingStage!,
    case: HOSTILE,
    stage: HOSTILE,
    stages: faultyReport.firstDivergingStage!.stages.map((each) => ({ ...each, stage: HOSTILE })),
  },
  weights: {
    passed: false,
    tensors: 1,
    elements: 1,
    bytes: 4,
    differences: [
      {
        tensor: HOSTILE,
        weight: HOSTILE,
        part: 'values',
        file: HOSTILE,
        offset: 0,
        row: 0,
        element: 0,
        found: '1',
        expected: '2',
      },
    ],
    problems: [HOSTILE],
    unknown: [],
    seconds: 1,
  },
  notes: [HOSTILE],
};
