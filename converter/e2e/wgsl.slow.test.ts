import { describeOfShaders } from '../testing/shader_goldens.ts';

describeOfShaders('pg1-tiny');
