import type { ProgramMetadata } from '../../ir/graph.ts';

interface CommonUse {
  /** What the model does. */
  readonly summary: string;
  /** How prompts are written and answers are read, beside where the image tokens stand. */
  readonly prompts: string;
  /** Whose terms its weights usually have. */
  readonly licence: string;
}

/** A model that answers a prompt about a picture. */
export interface AnswerUse extends CommonUse {
  readonly kind: 'answers';
  readonly examplePrompt: string;
  /** One whose answer has codes of masks. */
  readonly maskPrompt: string;
}

/** A model that gives pages and questions vectors, whose late interaction ranks the pages. */
export interface RetrievalUse extends CommonUse {
  readonly kind: 'retrieval';
  /** The text beside the image of a page. */
  readonly pagePrompt: string;
  /** `start`, the question, `count` times `filler`, `end`. */
  readonly question: {
    readonly start: string;
    readonly example: string;
    readonly filler: string;
    readonly count: number;
    readonly end: string;
  };
}

/** What a model is for, for people who have a bundle of it: its family knows, and no backend. */
export type ModelUse = AnswerUse | RetrievalUse;

/** What the README of a bundle tells, whichever its backend. */
export interface ReadmeFacts {
  readonly metadata: ProgramMetadata;
  readonly use: ModelUse;
  /** Name of the bundle's folder, for the examples. */
  readonly name: string;
  readonly tool: { readonly name: string; readonly version: string };
  readonly source: {
    /** `a Hugging Face checkpoint`. */
    readonly kind: string;
    /** Weight files, relative to the checkpoint. */
    readonly files: readonly string[];
    /** Of the weights, such as `bf16`. */
    readonly dtypes: readonly string[];
  };
  /** As the command line spells it. */
  readonly precision: string;
  /** How pictures chose codes, one sentence; absent where none did. */
  readonly calibration?: string;
  /** What was compared when the bundle was made, and what it said: one sentence for each link. */
  readonly verification: readonly string[];
  /** The command line that checks the bundle, as a reader would type it. */
  readonly verifyCommand: string;
}

/** The same once the files of a bundle are known. */
export interface ReadmeInput extends ReadmeFacts {
  readonly hasTokenizer: boolean;
  /**
   * Sentences for whoever runs the bundle. What tells only where its files came from is in the manifest: like bundles
   * have like files.
   */
  readonly notes: readonly string[];
}
