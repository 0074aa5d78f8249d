import type { Backend } from '../../backends/backend.ts';
import { isGpuDevice } from '../../backends/devices.ts';
import { chooseDevice, type ChosenDevice, type DeviceChoice } from '../bundle/choose_device.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { openStaged, type BundleModel } from '../bundle/open_bundle.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withWait } from '../terminal/waiting.ts';

/** Chooses where bundles will run, which starts what computes there. @throws as `chooseDevice` */
export async function findDevice(backend: Backend, choice: DeviceChoice, reporter: Reporter): Promise<ChosenDevice> {
  const named = choice.device ?? backend.devices[0];
  const chosen = await withWait(reporter, `look for the device ${named}`, () => chooseDevice(backend, choice));
  if (chosen.note !== undefined) reporter.warn(chosen.note);
  return chosen;
}

/**
 * The same, and looks whether it is there: what is started for that is ended.
 * @throws BackendError when what runs bundles is not here
 */
export async function requireDevice(backend: Backend, choice: DeviceChoice, reporter: Reporter): Promise<ChosenDevice> {
  const chosen = await findDevice(backend, choice, reporter);
  const { device, browser } = chosen;
  await withWait(reporter, `try the device ${device}`, async () =>
    backend.ready?.(device, { ...(browser !== undefined && { browser }) }),
  );
  return chosen;
}

/**
 * Opens a bundle where it will run, and says what that waits for.
 * @param of what people call it
 * @throws as `openStaged`
 */
export function openChosen(
  dir: string,
  manifest: Manifest,
  { device, browser, memory }: ChosenDevice & { readonly memory?: number | undefined },
  reporter: Reporter,
  of = 'the bundle',
): Promise<BundleModel> {
  const waitsFor = isGpuDevice(device) ? ', whose shaders compile' : '';
  return withWait(reporter, `open ${of} on ${device}${waitsFor}`, () =>
    openStaged(dir, manifest, { device, browser, memory }),
  );
}
