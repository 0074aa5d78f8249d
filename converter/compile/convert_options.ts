import { basename, resolve } from 'node:path';
import type { EmitOptions } from '../../backends/backend.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { DeviceChoice } from '../bundle/choose_device.ts';
import { hubName } from '../checkpoints/hub_cache.ts';
import type { ModelSource } from '../models/open_model.ts';
import type { IrPlaces } from './print_ir.ts';
import type { PrecisionChoices } from './prepare_programs.ts';

/** What is converted, and how. */
export interface ConvertOptions
  extends
    ModelSource,
    PrecisionChoices,
    DeviceChoice,
    Pick<EmitOptions, 'quantizedOps' | 'accuracyLevel' | 'layersPerGraph'> {
  /** By name. */
  readonly backend: string;
  /** Of weights and activations: the `--dtype` of the command. */
  readonly precision: Precision;
  /** Default: `./<checkpoint>-<backend>-<precision>`. */
  readonly out?: string;
  /** Replace an existing bundle. */
  readonly force?: boolean;
  /** Go on where an earlier run of the same command ended; default true. */
  readonly resume?: boolean;
  /** Compare the bundle with the checkpoint before it is put in place; default true. */
  readonly verify?: boolean;
  /** Compare every stage of a case also where all outputs agree, for a report. */
  readonly everyStage?: boolean;
  /** Bytes of memory that the verification may take; default what the machine has free. */
  readonly memory?: number;
  /** A recording of what the original computes with this checkpoint: the bundle must agree with it as well. */
  readonly against?: string;
  /** A tokenizer.json or tokenizer.model that comes before the checkpoint's own. */
  readonly tokenizer?: string;
  /**
   * Pictures and prompts with the original's answers; default the eval.json beside the last adapter, else the
   * checkpoint.
   */
  readonly samples?: string;
  /** Whether what a careful user should read is an error; default false. */
  readonly strict?: boolean;
  /** Whether weights that do not fit a narrower dtype are written as infinities; default false. */
  readonly allowOverflow?: boolean;
  /** Writes the text of graphs behind passes to `<out>.ir`; default none. */
  readonly printIr?: IrPlaces;
  /** Stops it: the reason is thrown, and the output is as it was. */
  readonly signal?: AbortSignal;
}

/** The bundle's folder when none is named: the checkpoint's name, the last adapter's when there is one. */
export function defaultOut(options: Pick<ConvertOptions, 'checkpoint' | 'adapters' | 'backend' | 'precision'>): string {
  const file = hubName(namingPath(options).replace(/(\.npz):[\w/]+$/, '$1'));
  const name = basename(resolve(file)).replace(/\.(npz|safetensors)$/, '');
  return resolve(`${name}-${options.backend}-${options.precision}`);
}

/** The path by which people know the model: of the last adapter, else of the checkpoint or its first file. */
export function namingPath({ checkpoint, adapters = [] }: Pick<ConvertOptions, 'checkpoint' | 'adapters'>): string {
  return adapters.at(-1)?.dir ?? (typeof checkpoint === 'string' ? checkpoint : checkpoint[0]!);
}
