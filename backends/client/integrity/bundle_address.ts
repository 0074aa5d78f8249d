import { RuntimeError } from '../errors.ts';
import { absoluteUrl, folderUrl } from '../sources/open_source.ts';

/** A bundle that is served. */
export class BundleAddress {
  readonly base: URL;

  /** @throws RuntimeError `bad_input` for what `fetch` cannot ask for */
  constructor(bundle: string | URL) {
    try {
      this.base = folderUrl(String(bundle));
      if (/^https?:$/.test(this.base.protocol)) return;
    } catch {
      // a path without a page that it could be relative to
    }
    throw new RuntimeError(
      'bad_input',
      `${String(bundle)} is not the address of a bundle that is served`,
      'give the http or https URL of its folder; in Node, checkBundle checks a folder of the disk',
    );
  }

  /** The path of a file in the bundle that an address has; undefined for what lies elsewhere. */
  pathOf(address: string): string | undefined {
    const url = absoluteUrl(address);
    const [folder, path] = [decoded(this.base.pathname), decoded(url.pathname)];
    return url.origin === this.base.origin && path.startsWith(folder) ? path.slice(folder.length) : undefined;
  }
}

/** One spelling of a path: `it%27s` and `it's` are one. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
