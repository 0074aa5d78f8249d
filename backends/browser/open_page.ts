import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { BackendError, type BackendErrorCode } from '../error.ts';
import { launchBrowser, type StartedBrowser } from './launch.ts';
import { decodeMessage, encodeMessage, type Message } from './messages.ts';
import { CONFIG_ID, PATHS, type Hello, type PageConfig, type PageFailure } from './page/hello.ts';
import { serveFolders, type Folders, type StaticServer } from './static_server.ts';

export interface PageRequest {
  readonly executable: string;
  /** Whether its WebGPU is to run on the CPU. */
  readonly software: boolean;
  /** Folders below the page. */
  readonly folders: Folders;
  /** Names of modules to addresses below the page. */
  readonly imports: Readonly<Record<string, string>>;
  readonly config: PageConfig;
}

/** Most that a browser takes to open a page, on a busy machine. */
const START_MS = 60_000;

interface Pending {
  readonly id: number;
  readonly message: Uint8Array<ArrayBuffer>;
  resolve(answer: Message): void;
  reject(error: Error): void;
}

interface Said {
  resolve(hello: Hello): void;
  reject(error: Error): void;
}

/** A page in a browser of its own, which answers calls one by one. */
export class Page {
  readonly #server: StaticServer;
  readonly #browser: StartedBrowser;
  readonly #channel: Channel;
  readonly hello: Hello;

  private constructor(server: StaticServer, browser: StartedBrowser, channel: Channel, hello: Hello) {
    this.#server = server;
    this.#browser = browser;
    this.#channel = channel;
    this.hello = hello;
  }

  /** @throws BackendError `browser-failed` */
  static async open({ executable, software, folders, imports, config }: PageRequest): Promise<Page> {
    // who does not know it is answered nothing
    const root = `/${randomBytes(16).toString('hex')}/`;
    const channel = new Channel(root, documentOf(imports, config), executable);
    const server = await serveFolders(
      Object.fromEntries(Object.entries(folders).map(([path, folder]) => [`${root}${path}`, folder])),
      channel.answers,
    );
    const browser = launchBrowser({ executable, url: `${server.url}${root}`, software });
    void browser.ended.then((how) => channel.fail('browser-failed', `the browser has ended (${how})`));
    const timer = setTimeout(
      () => channel.fail('browser-failed', `the browser has not opened the page in ${START_MS / 1000} s`),
      START_MS,
    );
    try {
      return new Page(server, browser, channel, await channel.hello);
    } catch (error) {
      await close(server, browser);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @throws BackendError: that of the page; `browser-failed`, `device-lost` when there is none to answer */
  async call(body: object, tensors: Message['tensors'] = {}): Promise<Message> {
    const answer = await this.#channel.call(body, tensors);
    const { failure } = answer.body as { readonly failure?: PageFailure };
    if (failure) throw new BackendError(failure.code as BackendErrorCode, failure.message, failure.place);
    return answer;
  }

  /** Ends the browser; nothing of it stays. */
  async close(): Promise<void> {
    this.#channel.fail('browser-failed', 'the page was closed');
    await close(this.#server, this.#browser);
  }
}

async function close(server: StaticServer, browser: StartedBrowser): Promise<void> {
  await browser.close();
  await server.close();
}

/** Requests of a page, which asks for calls and posts answers: whatever it is that ends it ends those that wait. */
class Channel {
  readonly hello: Promise<Hello>;
  readonly #root: string;
  readonly #document: string;
  readonly #executable: string;
  readonly #said: Said;
  /** Calls in order, of which the first may be at work. */
  readonly #calls: Pending[] = [];
  #taken = -1;
  #ids = 0;
  #waiting: ServerResponse | undefined;
  #failed: BackendError | undefined;

  constructor(root: string, document: string, executable: string) {
    this.#root = root;
    this.#document = document;
    this.#executable = executable;
    let said: Said | undefined;
    this.hello = new Promise((resolve, reject) => (said = { resolve, reject }));
    // whoever waits hears of it
    this.hello.catch(() => {});
    this.#said = said!;
  }

  call(body: object, tensors: Message['tensors']): Promise<Message> {
    if (this.#failed) return Promise.reject(this.#failed);
    const id = this.#ids++;
    return new Promise((resolve, reject) => {
      this.#calls.push({ id, message: encodeMessage({ body: { ...body, id }, tensors }), resolve, reject });
      this.#send();
    });
  }

  /** The first failure counts: what follows is of its making. */
  fail(code: BackendErrorCode, message: string): void {
    if (this.#failed) return;
    const hint =
      code === 'device-lost'
        ? 'run it again, with a smaller bundle where memory ran out'
        : 'run it again, or name another browser with --browser';
    this.#failed = new BackendError(code, message, { file: this.#executable, hint });
    this.#said.reject(this.#failed);
    for (const { reject } of this.#calls.splice(0)) reject(this.#failed);
  }

  /** Of the server below the page: see `Answers`. */
  readonly answers = (path: string, request: IncomingMessage, response: ServerResponse): boolean => {
    if (!path.startsWith(this.#root)) return false;
    const what = path.slice(this.#root.length);
    switch (what) {
      case '':
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(this.#document);
        return true;
      case PATHS.alive:
        response.writeHead(200).flushHeaders();
        response.once('close', () => this.fail('browser-failed', 'the page has ended'));
        return true;
      case PATHS.next:
        this.#waiting = response;
        this.#send();
        return true;
      case PATHS.hello:
      case PATHS.lost:
      case PATHS.answer:
        void this.#posted(what, request, response);
        return true;
      default:
        return false;
    }
  };

  async #posted(what: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    // one that breaks off is of a page that has ended
    const bytes = await buffer(request).catch(() => undefined);
    response.end();
    if (!bytes) return;
    if (what === PATHS.hello) return this.#said.resolve(JSON.parse(bytes.toString('utf8')) as Hello);
    if (what === PATHS.lost)
      return this.fail(
        'device-lost',
        `the browser has lost its GPU: ${bytes.toString('utf8') || 'it does not say why'}`,
      );
    const { buffer: whole, byteOffset, byteLength } = bytes;
    const answer = decodeMessage(whole.slice(byteOffset, byteOffset + byteLength));
    const call = this.#calls[0];
    if (call?.id !== this.#taken) return;
    this.#calls.shift();
    call.resolve(answer);
    this.#send();
  }

  #send(): void {
    const call = this.#calls[0];
    if (!call || !this.#waiting) return;
    this.#taken = call.id;
    this.#waiting.writeHead(200, { 'content-length': call.message.byteLength }).end(call.message);
    this.#waiting = undefined;
  }
}

function documentOf(imports: PageRequest['imports'], config: PageConfig): string {
  // "<" would end the script that holds it
  const json = (value: object) => JSON.stringify(value).replaceAll('<', String.raw`\u003c`);
  return [
    '<!doctype html><meta charset="utf-8"><title>pgconv</title><link rel="icon" href="data:,">',
    `<script type="importmap">${json({ imports })}</script>`,
    `<script type="application/json" id="${CONFIG_ID}">${json(config)}</script>`,
    '<script type="module" src="pgconv/backends/browser/page/main.js"></script>',
  ].join('\n');
}
