import { RuntimeError } from '../../client/errors.ts';

/** What a device has said of itself: errors that no promise returns, for the call that they are of. */
export class DeviceHealth {
  readonly #device: GPUDevice;
  readonly #listener = (event: GPUUncapturedErrorEvent): void => {
    this.#error ??= event.error;
  };
  #error: GPUError | undefined;
  #lost: GPUDeviceLostInfo | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
    device.addEventListener('uncapturederror', this.#listener);
    void device.lost.then((info) => (this.#lost = info));
  }

  /** @throws RuntimeError `device_lost`, `out_of_memory`, or `refused` with what the device says */
  check(): void {
    if (this.#lost) throw lost(this.#lost);
    const error = this.#error;
    if (!error) return;
    // it is told once: what comes after may do without what failed
    this.#error = undefined;
    const { message } = error;
    if (error instanceof GPUOutOfMemoryError)
      throw new RuntimeError(
        'out_of_memory',
        `the device has no room: ${message}`,
        'use fewer tokens or a smaller batch, and load again',
      );
    throw new RuntimeError('refused', `the device refused a command: ${message}`, 'report it with this bundle');
  }

  dispose(): void {
    this.#device.removeEventListener('uncapturederror', this.#listener);
  }
}

/** Time in which a device that is gone says so, after a call failed. */
const PATIENCE_MS = 200;

/** The error that says that the device is lost, where that is why a call failed; else what it failed with. */
export async function lossOf(device: GPUDevice, error: unknown): Promise<unknown> {
  if (error instanceof RuntimeError) return error;
  const info = await Promise.race([
    device.lost,
    new Promise<undefined>((resolve) => void setTimeout(resolve, PATIENCE_MS, undefined)),
  ]);
  return info ? lost(info, error) : error;
}

function lost({ reason, message }: GPUDeviceLostInfo, cause?: unknown): RuntimeError {
  return new RuntimeError(
    'device_lost',
    `the device is gone (${reason}${message && `: ${message.trim()}`})`,
    'call recover(), or load again',
    { cause },
  );
}
