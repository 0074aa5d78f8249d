import { formats } from '../../../ir/formats/index.ts';
import { isCoded, type CodeForm, type MatrixForm } from './matrix_form.ts';

/**
 * WGSL of the codebooks of forms, each once: `fn <format>_of(codes: vec4<u32>) -> vec4<f32>`, what four codes mean
 * before they are scaled. Empty where no form has one.
 */
export function codebookFunctions(forms: readonly MatrixForm[]): readonly string[] {
  const names = new Set(forms.flatMap((form) => (isCoded(form) && formats[form.kind].codebook ? [form.kind] : [])));
  return [...names].map((name) => {
    const levels = formats[name].codebook!;
    const ofCodes = ['x', 'y', 'z', 'w'].map((c) => `${name}_levels[codes.${c}]`).join(', ');
    return [
      `const ${name}_levels = array<f32, ${levels.length}>(`,
      ...levels.map((level) => `  ${level},`),
      ');',
      '',
      `fn ${name}_of(codes: vec4<u32>) -> vec4<f32> {`,
      `  return vec4<f32>(${ofCodes});`,
      '}',
    ].join('\n');
  });
}

/** WGSL of what four codes of a form with a codebook mean, a vec4<u32>. */
export function levelsOf({ kind }: CodeForm, codes: string): string {
  return `${kind}_of(${codes})`;
}
