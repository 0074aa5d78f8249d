#!/usr/bin/env node
import { inThread } from './cli/in_thread.ts';

process.exitCode = await inThread(process.argv.slice(2));
