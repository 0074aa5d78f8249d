import { IMAGE_TOKEN } from '../../../backends/client/text/tokenizer.ts';
import { addedToken, type TokenizerJson } from '../tokenizer_json.ts';

/** With `<image>`, as the file in a bundle has it. */
export function withImage(json: TokenizerJson, id: number): TokenizerJson {
  return { ...json, added_tokens: [...json.added_tokens, addedToken(id, IMAGE_TOKEN)] };
}
