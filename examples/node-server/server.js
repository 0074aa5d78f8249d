// Answers about pictures, piece by piece as the tokens come: POST a picture to /answer?prompt=caption%20en
import { createServer } from 'node:http';
import { load } from 'pgconv/runtime';

const [bundle = './bundle', port = '8080'] = process.argv.slice(2);
const MOST_BYTES = 20e6;

const model = await load(bundle);
/** A model answers one at a time: each waits for the one before, whatever became of it. */
let before = Promise.resolve();

async function bodyOf(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    if ((bytes += chunk.length) > MOST_BYTES)
      throw Object.assign(new Error('the picture is too large'), { status: 413 });
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

async function answer(request, response, prompt) {
  const image = await bodyOf(request);
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const turn = before.then(async () => {
    gone.signal.throwIfAborted();
    for await (const piece of model.generate({ image, prompt, signal: gone.signal })) {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
      response.write(piece);
    }
    response.end();
  });
  before = turn.catch(() => {});
  await turn;
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  if (request.method !== 'POST' || pathname !== '/answer') return response.writeHead(404).end();
  answer(request, response, searchParams.get('prompt') ?? 'caption en').catch((error) => {
    // what is cut short in the middle of an answer must not look like one
    if (response.headersSent) return response.destroy();
    response.writeHead(error.status ?? (error.code === 'bad_input' ? 400 : 500)).end(`${error.message}\n`);
  });
});
server.listen(Number(port), () => console.log(`listening on ${server.address().port}`));
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    server.close();
    server.closeAllConnections();
    await before;
    await model.dispose();
    process.exit(0);
  });
