/** Help on `withModelOptions`, for commands that read a checkpoint. */
export const MODEL_HELP = `
Where Hugging Face and big_vision differ on purpose:
                     --reference huggingface           --reference bigvision
  √D and 1 + w       in f32                            in the checkpoint's dtype
                                                       (68 for 67.88 in bf16)
  sliding window     4096 on Gemma 2's even layers,    none
                     past the prompt only
  pictures, newline  bicubic, tokenised with the text  bilinear, tokenised apart
--final-softcap on caps PaliGemma 2's logits at 30 · tanh(x / 30). auto is off: neither
original caps the logits of a text (their configs say 30), greedy answers are the same,
and only uncapped logits can be compared with theirs.
--mask-decoder vae-oid.npz adds the graph that makes masks of the codes in answers to
"segment cat"; without it a bundle has boxes only. big_vision publishes the file:
https://storage.googleapis.com/big_vision/paligemma/vae-oid.npz
--sliding-window auto does what the reference does. It can matter beyond 4096 tokens
only: at 896 pixels.`;
