import { cpSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/* Part of the build: the compiler copies no Python. */
const path = (/** @type {string} */ folder) => fileURLToPath(new URL(`${folder}record_paligemma.py`, import.meta.url));
const built = path('../../dist/converter/record/');
mkdirSync(dirname(built), { recursive: true });
cpSync(path('./'), built);
