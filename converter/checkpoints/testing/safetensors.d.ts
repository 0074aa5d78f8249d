declare module 'safetensors' {
  export class SafeTensor {
    constructor(bytes: Uint8Array);
    /** `data_offsets` from the start of the file. */
    readonly metadata: Map<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
    getTensor(name: string): Uint8Array;
  }
}
