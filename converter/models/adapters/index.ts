export { checkAdapterBeside } from './adapter_beside.ts';
export type { Adapter, ModuleChange } from './adapter.ts';
export { applyAdapters, type AdaptedWeights, type TableSizes } from './apply_adapters.ts';
export { tableRowsOf } from './table_rows.ts';
export { openAdapter, type AdapterOptions } from './open_adapter.ts';
