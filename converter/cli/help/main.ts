/** Help of `pgconv`. */
export const MAIN_HELP = `
Examples:
  pgconv convert fixtures/shapes --to onnx --dtype fp16
  pgconv convert fixtures/shapes --to wgsl --dtype int4
  pgconv inspect paligemma-3b-pt-224
  pgconv verify shapes-onnx-fp16 --against fixtures/shapes
  pgconv record --script record_paligemma.py
  pgconv run shapes-onnx-fp16 --image photo.jpg --prompt "detect cat" --draw boxes.png

Exit codes:
  0  done              3  bad input: damaged, unsupported or contradictory
  1  parity failed     4  the output cannot be written
  2  bad usage       130  interrupted (143: terminated)
 70  a bug of pgconv

pgconv.config.json in the folder where a command is run has options that a project
repeats, as {"convert": {"dtype": "fp16", "strict": true}}; those that are given come
before it, and a note says which were taken.

Every command takes --json: one JSON text on stdout, which names its kind and version
(schema, schemaVersion: docs/schemas), with {"error": {...}} when it fails; all else goes
to stderr.`;
