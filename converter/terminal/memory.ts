/** Of what is free, the share that a verification takes for itself. */
const SHARE = 0.8;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** Bytes of memory that this machine, or the container around us, has to give. */
export function availableMemory(): number {
  return process.availableMemory() * SHARE;
}

/** `4GiB`, `512 MB`, `1.5GiB` or bytes; undefined for what is none of them, or nothing. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  // of what has a fraction the unit was forgotten: bytes have none
  const isForgotten = unit === '' && digits?.includes('.');
  const factor = unit === undefined || isForgotten ? undefined : UNITS[unit.toLowerCase()];
  const bytes = Math.floor(Number(digits) * (factor ?? Number.NaN));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}
