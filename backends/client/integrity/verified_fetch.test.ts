import { afterEach, describe, expect, it, vi } from 'vitest';
import { serveFiles, type FileServer, type FileServerOptions } from '../../wgsl/runtime/testing/file_server.ts';
import { withHashes } from './testing/with_hashes.ts';
import { verifiedFetch, type Fetch, type VerifiedFetch } from './verified_fetch.ts';

const DATA = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251);
const CONFIG = new TextEncoder().encode('{"a": 1}');
const BUNDLE = withHashes(
  new Map([
    ['onnx/a b.onnx', DATA],
    ['config.json', CONFIG],
  ]),
);

const servers: FileServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function served(
  changes: Readonly<Record<string, Uint8Array>> = {},
  options?: FileServerOptions,
): Promise<{ readonly ask: VerifiedFetch; readonly server: FileServer }> {
  const server = await serveFiles(new Map<string, Uint8Array>([...BUNDLE, ...Object.entries(changes)]), options);
  servers.push(server);
  return { ask: await verifiedFetch(server.url), server };
}

const flipped = (data: Uint8Array, at: number) => {
  const spoilt = data.slice();
  spoilt[at]! ^= 16;
  return spoilt;
};

const damaged = (path: string, what: RegExp) => ({
  name: 'RuntimeError',
  code: 'damaged',
  message: expect.stringMatching(what) as string,
  problem: expect.stringContaining(path) as string,
  hint: 'copy the bundle again, or convert again',
});

it('gives files of the bundle as they were written, by any way to read them', async () => {
  const { ask, server } = await served();
  const response = await ask(`${server.url}/onnx/a%20b.onnx?download=true#x`);
  expect([response.ok, response.status, response.url]).toEqual([
    true,
    200,
    `${server.url}/onnx/a%20b.onnx?download=true`,
  ]);
  expect(response.headers.get('content-length')).toBe(String(DATA.length));
  expect(Buffer.from(await response.arrayBuffer()).equals(DATA)).toBe(true);
  expect(await (await ask(new URL(`${server.url}/config.json`))).json()).toEqual({ a: 1 });
  expect(await (await ask(new Request(`${server.url}/config.json`))).text()).toBe('{"a": 1}');
  const reader = (await ask(`${server.url}/config.json`)).body!.getReader();
  expect((await reader.read()).value).toEqual(CONFIG);
  // it was read when it was checked
  const asked = server.requests.length;
  expect(await (await ask(`${server.url}/manifest.json`)).json()).toMatchObject({ format: 'pgconv-bundle' });
  expect(server.requests).toHaveLength(asked);
});

it('fails to read what is not as written, and names it', async () => {
  const { ask, server } = await served({ 'onnx/a b.onnx': flipped(DATA, 299_999), 'config.json': CONFIG.slice(1) });
  await expect((await ask(`${server.url}/onnx/a b.onnx`)).arrayBuffer()).rejects.toMatchObject(
    damaged('onnx/a%20b.onnx', /its bytes changed/),
  );
  await expect((await ask(`${server.url}/config.json`)).json()).rejects.toMatchObject(
    damaged('config.json', /it has 7 bytes in place of 8/),
  );
  const { body } = await ask(`${server.url}/onnx/a b.onnx`);
  let length = 0;
  await expect(
    (async () => {
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) length += chunk.length;
    })(),
  ).rejects.toMatchObject(damaged('onnx/a%20b.onnx', /its bytes changed/));
  expect(length).toBeLessThan(DATA.length);
});

describe('a file that does not come is an answer that cannot be read: nobody may take it for an optional one', () => {
  it.each<[string, FileServerOptions, object]>([
    [
      'it is missing',
      { meddle: (path, response) => path === 'config.json' && (response.writeHead(404).end(), true) },
      damaged('config.json', /it is missing/),
    ],
    [
      'the server fails',
      { meddle: (path, response) => path === 'config.json' && (response.writeHead(500).end(), true) },
      { code: 'network', message: expect.stringMatching(/config\.json: the server answers 500/) as string },
    ],
    [
      'it hangs up',
      { meddle: (path, response) => path === 'config.json' && (response.destroy(), true) },
      { code: 'network', message: expect.stringContaining('config.json') as string },
    ],
  ])('%s', async (_, options, error) => {
    const { ask, server } = await served({}, options);
    const response = await ask(`${server.url}/config.json`);
    expect(response.status).toBe(200);
    await expect(response.json()).rejects.toMatchObject(error);
  });
});

it('ends the wait of who waits for a file that fails', async () => {
  const { ask, server } = await served({ 'config.json': flipped(CONFIG, 0) });
  expect(await ask.orFail(Promise.resolve(1))).toBe(1);
  await expect(ask.orFail(Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  const waiting = ask.orFail(new Promise(() => {}));
  (await ask(`${server.url}/config.json`)).text().catch(() => {});
  await expect(waiting).rejects.toMatchObject(damaged('config.json', /its bytes changed/));
  await expect(ask.orFail(new Promise(() => {}))).rejects.toMatchObject({ code: 'damaged' });
});

it('what manifest.json does not list is not there, and not asked for', async () => {
  const { ask, server } = await served({ 'chat_template.json': CONFIG });
  const asked = server.requests.length;
  const response = await ask(`${server.url}/chat_template.json`);
  expect([response.status, response.statusText]).toEqual([404, 'Not listed in manifest.json']);
  expect(server.requests).toHaveLength(asked);
});

it('of a range the size of the whole is checked', async () => {
  const headers = { range: 'bytes=0-0' };
  const sound = await served();
  const response = await sound.ask(`${sound.server.url}/config.json`, { headers });
  expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([206, 1]);
  const cut = await served({ 'config.json': CONFIG.slice(1) });
  await expect((await cut.ask(`${cut.server.url}/config.json`, { headers })).text()).rejects.toMatchObject(
    damaged('config.json', /it has 7 bytes in place of 8/),
  );
});

it('what lies elsewhere, and other methods, are fetched as ever', async () => {
  const { ask, server } = await served({ 'config.json': flipped(CONFIG, 0) });
  const elsewhere = await served({ 'config.json': flipped(CONFIG, 0) });
  expect(await (await ask(`${elsewhere.server.url}/config.json`)).text()).not.toBe('{"a": 1}');
  expect((await ask(server.url.replace('/bundle', '/other'))).status).toBe(404);
  expect((await ask(`${server.url}/config.json`, { method: 'post' })).url).toBe(`${server.url}/config.json`);
});

it('a call that is aborted is rejected with its reason, and so is the reading of its answer', async () => {
  const { ask, server } = await served(
    {},
    {
      meddle: (path, response) =>
        path === 'config.json' && (response.writeHead(200, { 'content-length': CONFIG.length }).write('{'), true),
    },
  );
  const reason = new Error('no longer wanted');
  await expect(ask(`${server.url}/config.json`, { signal: AbortSignal.abort(reason) })).rejects.toThrow(reason);
  const stop = new AbortController();
  const reading = (await ask(`${server.url}/config.json`, { signal: stop.signal })).text();
  stop.abort(reason);
  await expect(reading).rejects.toThrow(/no longer wanted|aborted/);
  // nobody is told that a file has failed
  expect(await ask.orFail(new Promise((resolve) => setTimeout(resolve, 20, 'going on')))).toBe('going on');
});

it('a connection that breaks within a file is an error of the file', async () => {
  const { ask, server } = await served(
    {},
    {
      meddle(path, response) {
        if (path !== 'config.json') return false;
        response.writeHead(200, { 'content-length': CONFIG.length });
        response.write('{', () => setTimeout(() => response.destroy(), 20));
        return true;
      },
    },
  );
  const error = { code: 'network', message: expect.stringContaining('config.json') as string };
  await expect((await ask(`${server.url}/config.json`)).text()).rejects.toMatchObject(error);
  const reader = (await ask(`${server.url}/config.json`)).body!.getReader();
  await expect(reader.read()).rejects.toMatchObject(error);
});

it('a body is read once', async () => {
  const { ask, server } = await served();
  const response = await ask(`${server.url}/config.json`);
  expect(await response.text()).toBe('{"a": 1}');
  await expect(response.text()).rejects.toThrow('has been read');
  const other = await ask(`${server.url}/config.json`);
  await other.body!.getReader().read();
  await expect(other.json()).rejects.toThrow('has been read');
});

it('asks by the fetch that it is given, for manifest.json too', async () => {
  const { server } = await served();
  const own = vi.fn<Fetch>((input, init) => fetch(input, init));
  await (
    await verifiedFetch(server.url, { fetch: own })
  )(`${server.url}/config.json`);
  expect(
    own.mock.calls.map(([input, init]) => [String(input), (init as { readonly cache?: string } | undefined)?.cache]),
  ).toEqual([
    [`${server.url}/manifest.json`, 'no-cache'],
    [`${server.url}/config.json`, undefined],
  ]);
});

describe('refused is', () => {
  it.each(['./models/mix-224', '/models/mix-224', 'file:///models/mix-224', 'C:\\models'])(
    'what no fetch can ask for: %s',
    async (bundle) => {
      await expect(verifiedFetch(bundle)).rejects.toMatchObject({
        code: 'bad_input',
        hint: expect.stringContaining('checkBundle') as string,
      });
    },
  );

  it('a bundle whose manifest.json is damaged, or not there', async () => {
    const server = await serveFiles(new Map([...BUNDLE, ['manifest.json', flipped(BUNDLE.get('manifest.json')!, 60)]]));
    servers.push(server);
    await expect(verifiedFetch(server.url)).rejects.toMatchObject({ code: 'damaged' });
    await expect(verifiedFetch(server.url.replace('bundle', 'other'))).rejects.toMatchObject({ code: 'not_found' });
  });
});
