/** Help of `pgconv quality`, below its options. */
export const QUALITY_HELP = `
What is done: the checkpoint is converted to every dtype in every backend, one after
another, into a temporary folder; each bundle runs in its own runtime (onnx and tfjs on
the cpu, wgsl on WebGPU, or on --device), beside the f32 model, and is removed. Nothing
is verified but measured: use it to choose.

What is measured, on every picture and prompt of a file (eval.json beside the
checkpoint; else four built-in ones):
  teacher-forced   the model reads the prompt and then the original's answer, whatever it
                   would say itself; at every position of text, its next-token
                   distribution is compared with that of f32: KL divergence in nats
                   (mean, 99th percentile, largest), same most likely token, RMS of the
                   change of probability of the token that follows (RMS Δp)
  greedy           the model answers: tokens that are those of f32, or part from them at
                   a tie; text that is the original's; text that is right ("truth" in the
                   file); overlap of boxes (IoU) with the original's and the right ones
  masks            with --mask-decoder, of cases with true masks: overlap of the masks of
                   the answer (IoU) with the original's and the true ones
  stages           signal-to-noise ratio and cosine of every stage of the graphs, and
                   where the error grows
  ranges           the largest magnitude of every activation that fp16 rounds, beside
                   65504
  size, speed      bytes of the bundle, bits per weight with scales and zero points;
                   tokens/s of decoding, informative only: it is taken on the machine as
                   it is, and compares dtypes of one run with each other at most

Settings behind a dtype make it another row of the table, and say what is done beside
the dtype as options of convert would:
  int4+rtn        int4+hqq+mixed=none    int4+calibrate
  int4+calibrate=photos   int8+mixed=bits.json   fp16+calibrate=photos
  int4+calibrate=photos+budget=2.8MB   int4+calibrate=photos+target-kld=0.01
  int4+balance=none

A dtype meets its targets or misses them; the targets, and where they come from, are in
the report. The exit code is 1 when one is missed, or when a dtype cannot be converted.

The f32 model is the evaluator in float64 (--baseline evaluator), or, where that would
take more than a quarter of an hour, an fp32 bundle in its runtime (--baseline bundle),
itself compared with the evaluator on --check-cases of the cases. The report says which.

The file, whose last four fields are not needed; pictures lie beside it or in its folder
images/:
  {"cases": [{"image": "a.png", "prompt": "detect cat", "text": "what the original says",
              "truth": "what is right", "tokens": [5, 7, 1], "min_margin": 0.4,
              "masks": ["a-cat.png"]}]}
True masks, one an object, lie in the folder masks/ beside the pictures or beside images/:
of the picture's size, white where the object is. A case of "segment …" that names none
has the mask of its picture's name, masks/a.png. Masks are paired with those of the
answer one to one; an object that is missing, or one too many, counts 0.

Examples:
  pgconv quality fixtures/shapes
  pgconv quality fixtures/shapes --dtypes fp16,int8 --limit 20 --json
  pgconv quality ./paligemma-3b-mix-224 --dtypes fp16,int8,int4 --samples eval.json --limit 50 --out reports/mix-224
  pgconv quality fixtures/shapes --dtypes int4,int4+rtn,int4+mixed=none,int4+rtn+mixed=none,int4+calibrate=photos
  pgconv quality fixtures/shapes --dtypes int4 --bundle int4=made-elsewhere --keep --out reports/shapes
  pgconv quality fixtures/segments/hf --samples fixtures/segments/eval.json --mask-decoder fixtures/segments/vae-oid.npz
  pgconv quality fixtures/shapes --backends tfjs --dtypes fp16 --device webgpu
  pgconv quality fixtures/shapes --markdown docs/quality.md`;
