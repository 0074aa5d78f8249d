/** What a device does at best, measured in WGSL. */
export interface DevicePeaks {
  /** Bytes read and written a second by a kernel that copies. */
  readonly copyBandwidth: number;
  /** Floating-point operations a second of f32 fma without memory, two each. */
  readonly fmaPeak: number;
}

export interface PeakOptions {
  /** Bytes to copy at a time: more than caches hold. A multiple of 1 MiB within the limits of the device. */
  readonly copyBytes: number;
  /** Least time of one measurement, in milliseconds. */
  readonly milliseconds: number;
}

const INVOCATIONS = 256;
const VECTOR_BYTES = 16;
/** Vectors that an invocation copies, a workgroup's side by side. */
const EACH = 4;
const ROUNDS = 512;
const CHAINS = 8;
/** Takes of each: other work on the machine makes them slower, never faster. */
const TAKES = 5;

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<u32>>;

@compute @workgroup_size(${INVOCATIONS})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first = (workgroup.y * count.x + workgroup.x) * ${INVOCATIONS * EACH}u + lane;
  for (var i = 0u; i < ${EACH}u; i++) {
    let at = first + i * ${INVOCATIONS}u;
    target_[at] = source[at];
  }
}
`;

/** Chains of their own, so that one need not wait for another. */
const FMA = `
@group(0) @binding(0) var<storage, read> factors: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> results: array<vec4<f32>>;

@compute @workgroup_size(${INVOCATIONS})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let factor = factors[0];
  let term = factors[1];
${Array.from({ length: CHAINS }, (_, i) => `  var sum${i} = factors[lane % 2u] + vec4<f32>(${i}.0);`).join('\n')}
  for (var i = 0u; i < ${ROUNDS}u; i++) {
${Array.from({ length: CHAINS }, (_, i) => `    sum${i} = fma(sum${i}, factor, term);`).join('\n')}
  }
  results[(workgroup.y * count.x + workgroup.x) * ${INVOCATIONS}u + lane] = ${Array.from({ length: CHAINS }, (_, i) => `sum${i}`).join(' + ')};
}
`;

/** Best of some takes, each of one submit that is long enough for its start not to count. */
export async function measurePeaks(device: GPUDevice, { copyBytes, milliseconds }: PeakOptions): Promise<DevicePeaks> {
  const buffer = (size: number) =>
    device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  const [from, to] = [buffer(copyBytes), buffer(copyBytes)];
  const factors = buffer(2 * VECTOR_BYTES);
  device.queue.writeBuffer(
    factors,
    0,
    Float32Array.from([...Array<number>(4).fill(0.999), ...Array<number>(4).fill(0.001)]),
  );
  try {
    const copies = copyBytes / VECTOR_BYTES / INVOCATIONS / EACH;
    const copySeconds = await secondsOf(device, COPY, [from, to], copies, milliseconds);
    const workgroups = Math.min(4096, copyBytes / VECTOR_BYTES / INVOCATIONS);
    const fmaSeconds = await secondsOf(device, FMA, [factors, to], workgroups, milliseconds);
    return {
      copyBandwidth: (2 * copyBytes) / copySeconds,
      fmaPeak: (workgroups * INVOCATIONS * ROUNDS * CHAINS * 4 * 2) / fmaSeconds,
    };
  } finally {
    for (const one of [from, to, factors]) one.destroy();
  }
}

/** Of one dispatch. */
async function secondsOf(
  device: GPUDevice,
  code: string,
  resources: readonly GPUBuffer[],
  workgroups: number,
  milliseconds: number,
): Promise<number> {
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }), entryPoint: 'main' },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: resources.map((resource, binding) => ({ binding, resource: { buffer: resource } })),
  });
  const rows = Math.ceil(workgroups / 65535);
  const run = (times: number) =>
    timedSubmit(device, (pass) => {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(workgroups / rows, rows);
    });
  await run(1);
  let times = 1;
  let best = Infinity;
  for (let taken = 0; taken < TAKES;) {
    const took = await run(times);
    if (took < milliseconds) {
      times *= 2;
      continue;
    }
    best = Math.min(best, took / times / 1000);
    taken++;
  }
  return best;
}

/** Milliseconds from the submit of one pass to the end of its work. */
export async function timedSubmit(device: GPUDevice, encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  encode(pass);
  pass.end();
  const commands = encoder.finish();
  await device.queue.onSubmittedWorkDone();
  const started = performance.now();
  device.queue.submit([commands]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - started;
}
