/** Dtype as the format spells it, and shape. */
export type RawTensor = readonly [dtype: string, shape: readonly number[]];

const BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F4: 4,
  F16: 16,
  BF16: 16,
  F32: 32,
  I32: 32,
  U32: 32,
  F64: 64,
  I64: 64,
};

/** Bytes of a safetensors file of zeros: of dtypes that our writer, which writes what the IR has, does not know. */
export function rawSafetensors(
  tensors: Readonly<Record<string, RawTensor>>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Buffer {
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: metadata };
  for (const [name, [dtype, shape]] of Object.entries(tensors)) {
    const length = Math.ceil((shape.reduce((n, d) => n * d, 1) * BITS[dtype]!) / 8);
    header[name] = { dtype, shape, data_offsets: [at, at + length] };
    at += length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.byteLength));
  return Buffer.concat([prefix, json, Buffer.alloc(at)]);
}
