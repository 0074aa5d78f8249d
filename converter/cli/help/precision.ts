/** Help on `withPrecisionOptions`. */
export const PRECISION_HELP = `
Precisions (--dtype):
  fp32    as the checkpoint, widened
  fp16    weights and products in f16; residual stream, norms, softmax and rotary
          embedding in f32
  bf16    the same in bf16, for targets that have it (ort-cuda; ort-cpu stores it and
          computes in f32)
  int8    matrices, head and embedding as 8-bit codes, one scale for each 32 weights of a
          row; activations in f32
  int4    4-bit codes with a scale and a zero point for each 32; activations in f32
  nf4     4-bit codes of bitsandbytes' codebook, quantiles of the normal distribution,
          one scale for each 64 weights of a row; activations in f32 (wgsl and tfjs)
  q4f16   int4 with activations as in fp16
--to wgsl has fp32, fp16, int8, int4 and nf4, and computes in f32 in each: fp16 is how
weights are stored, so it needs no shader-f16. So does --to tfjs, where int8 has one
scale a row (with --profile packed one for 32), and int4 a scale for each 64.
--mixed auto (the default, but for tfjs: none) gives 8 bits to what 4 bits hurt most:
head, projector and the decoder's attention, and the MLPs of the first eighth of its
layers. With a calibration folder and a model that is small, each matrix is tried in
4 bits alone (a minute or two), and the same bytes go where the answers need them. none
gives all the same; a file says it by weight: {"lm.*.down": "int8", "vit.**": "fp16"}.
--budget 1.6GB measures so for any model, to as many bytes of graphs and weights;
--target-kld 0.01 to the fewest bytes with which answers to the pictures diverge by no
more, in nats a token. Both need --calibrate <folder>, and stand in place of --mixed.
--balance auto (the default, but for rtn and nf4: none) first scales channels of norms,
gated MLPs and attention, and the columns that read them by the inverse: what is computed
stays the same, and columns of like size lose less as codes. none leaves them.
--algorithm search (the default, but see --calibrate) finds the scale and zero point with
the least squared error; rtn takes them from the largest and smallest weight (faster, 2 dB and more
worse); hqq minimises a norm that forgives outliers; gptq compensates each column's
error in the next ones and needs --calibrate <folder>. nf4 has rtn alone: the largest
magnitude is the scale.
--calibrate shows the model pictures and prompts first: a folder with a.png beside a.txt
or an eval.json, or default for a built-in set. fp16 then keeps in f32, by name, what
comes near 65504. By a folder codes are chosen as well: for the inputs that each column
sees, by gptq too where the model is small or --algorithm says so, and kept, matrix by
matrix, where every fourth picture, which chose none of them, agrees that they are better
than those without data. It takes two different pictures at least (copies are one), and
more than 32 are not shown; rtn and hqq choose without data. Without the option, fp16
calibrates on the built-in set where that is cheap beside the rest; none switches it off.`;
