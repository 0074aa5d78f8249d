import type { Access } from '../bundle/plan.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { shaderText } from '../kernels/wgsl_text.ts';

export interface ShaderSource {
  readonly path: string;
  readonly text: string;
}

interface PipelineOf {
  readonly variants: readonly { readonly shader: number; readonly features: readonly string[] }[];
  readonly access: readonly Access[];
}

/** Shaders by their text, each once, under the names of their kernels; pipelines by their shaders. */
export class ShaderFiles {
  readonly #symbols: readonly string[];
  readonly #byText = new Map<string, number>();
  readonly #names = new Map<string, number>();
  readonly #byShaders = new Map<string, number>();
  readonly shaders: ShaderSource[] = [];
  readonly pipelines: PipelineOf[] = [];

  /** @param symbols fields of the uniform block, in order */
  constructor(symbols: readonly string[]) {
    this.#symbols = symbols;
  }

  /** The index of the kernel's pipeline. */
  pipeline(kernel: Kernel): number {
    const variants = [...(kernel.variants ?? []), { features: [], body: kernel.body }].map(({ features, body }) => ({
      shader: this.#shader(
        [kernel.name, ...features.map((feature) => feature.replaceAll('-', '_'))].join('_'),
        shaderText(kernel, body, this.#symbols, features),
      ),
      features,
    }));
    const access = kernel.bindings.map((binding) => binding.access);
    const key = JSON.stringify([variants, access]);
    const known = this.#byShaders.get(key) ?? this.pipelines.push({ variants, access }) - 1;
    this.#byShaders.set(key, known);
    return known;
  }

  #shader(name: string, text: string): number {
    const key = `${name}\n${text}`;
    const known = this.#byText.get(key) ?? this.shaders.push({ path: `shaders/${this.#unique(name)}.wgsl`, text }) - 1;
    this.#byText.set(key, known);
    return known;
  }

  #unique(name: string): string {
    const count = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, count);
    return count === 1 ? name : this.#unique(`${name}_v${count}`);
  }
}
