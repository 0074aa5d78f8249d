/** erf by numeric integration: an independent definition. */
export function erfBySimpson(limit: number): number {
  const steps = 2000;
  const h = limit / steps;
  let total = 1 + Math.exp(-limit * limit);
  for (let i = 1; i < steps; i++) total += (i % 2 ? 4 : 2) * Math.exp(-((i * h) ** 2));
  return ((2 / Math.sqrt(Math.PI)) * h * total) / 3;
}
