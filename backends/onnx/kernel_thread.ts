import { Worker } from 'node:worker_threads';

/** Models of one op each: `a · bᵀ` by rows of b, `a · b` by its columns, tanh of a; and threads of an op. */
export interface KernelModels {
  readonly rows: Uint8Array;
  readonly columns: Uint8Array;
  readonly tanh: Uint8Array;
  readonly threads: number;
}

/** Memory that is lent to the thread, and comes back with the result. */
export interface Lent {
  readonly b: Float32Array<ArrayBuffer>;
  /** Of the result. */
  readonly y: Float64Array<ArrayBuffer>;
}

/** `a[m, k] · b[n, k]ᵀ` of a left operand that was sent before. */
export interface BlockProduct extends Lent {
  readonly left: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** `x[·, m, k] · y[·, k, n]` for pairs of a matrix of x and one of y, `step` rows at a time. */
export interface MatrixProducts {
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly step: number;
  /** Numbers of the matrices, x and y by turns. */
  readonly pairs: Int32Array;
}

export type KernelRequest =
  | { readonly kind: 'left'; readonly left: number; readonly a: Float32Array }
  | { readonly kind: 'forget'; readonly left: number }
  | ({ readonly kind: 'block'; readonly id: number } & BlockProduct)
  | ({ readonly kind: 'matmul'; readonly id: number } & MatrixProducts)
  | ({ readonly kind: 'tanh'; readonly id: number } & Lent);

export interface Product {
  readonly y: Float64Array<ArrayBuffer>;
  /** The memory that was lent. */
  readonly b?: Float32Array<ArrayBuffer>;
}

export type KernelReply = { readonly id: number } & (
  | (Product & { readonly error?: undefined })
  | { readonly error: Error }
);

interface Waiting {
  resolve(product: Product): void;
  reject(error: Error): void;
}

/**
 * ONNX Runtime in a thread: its `run` holds up the thread that calls it, which has other work meanwhile. Starts with
 * the first of it; an idle one does not keep the process alive.
 */
export class KernelThread {
  readonly #models: KernelModels;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #last = 0;

  constructor(models: KernelModels) {
    this.#models = models;
  }

  /** Sends a left operand for several products. `forget` it. */
  left(a: Float32Array): number {
    const left = ++this.#last;
    this.#send({ kind: 'left', left, a: ownMemory(a) });
    return left;
  }

  forget(left: number): void {
    this.#send({ kind: 'forget', left });
  }

  block(product: BlockProduct): Promise<Product> {
    return this.#ask({ kind: 'block', id: ++this.#last, ...product }, [product.b.buffer, product.y.buffer]);
  }

  /** tanh of each element of b. */
  tanh(values: Lent): Promise<Product> {
    return this.#ask({ kind: 'tanh', id: ++this.#last, ...values }, [values.b.buffer, values.y.buffer]);
  }

  async matmul(products: MatrixProducts): Promise<Float64Array> {
    const own = { x: ownMemory(products.x), y: ownMemory(products.y) };
    return (await this.#ask({ kind: 'matmul', id: ++this.#last, ...products, ...own })).y;
  }

  #ask(request: Extract<KernelRequest, { readonly id: number }>, given: ArrayBuffer[] = []): Promise<Product> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#send(request, given);
      this.#worker!.ref();
    });
  }

  #send(request: KernelRequest, given: ArrayBuffer[] = []): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(request, given);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./kernel_worker.js', import.meta.url), {
      name: 'pgconv-kernels',
      workerData: this.#models,
      execArgv: [],
    });
    worker.unref();
    worker.on('message', (reply: KernelReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (this.#waiting.size === 0) worker.unref();
      if (reply.error) waiting?.reject(reply.error);
      else waiting?.resolve(reply);
    });
    worker.on('error', (error: Error) => this.#fail(worker, error));
    worker.on('exit', () => this.#fail(worker, new Error('the thread of the reference ended')));
    return worker;
  }

  /** The next product starts another thread. */
  #fail(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** What is sent is copied with all the memory that it is a part of. */
function ownMemory(array: Float32Array): Float32Array {
  return array.byteLength === array.buffer.byteLength ? array : array.slice();
}
