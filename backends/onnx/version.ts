/**
 * Opset 23 is the first with RMSNormalization and RotaryEmbedding, and the oldest does best: onnxruntime-node 1.30 and
 * the onnxruntime-web 1.31-dev of transformers.js run it on every provider.
 */
export const OPSET = 23;

/**
 * IR version 10 is the oldest that may carry opset 23's types; nothing of 11 and later (multi-device) is used, so more
 * readers load it.
 */
export const IR_VERSION = 10;

/** ONNX Runtime's contrib ops (domain com.microsoft) have had one version. */
export const CONTRIB_OPSET = 1;

export const PRODUCER = 'pgconv';
