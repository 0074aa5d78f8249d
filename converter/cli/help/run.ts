/** Help of `pgconv run`, below its options. */
export const RUN_HELP = `
Prompts that PaliGemma's mixtures know: "caption en", "detect cat", "answer en where is
the cat?", "ocr", "segment cat". Objects in the answer are also shown as boxes in pixels
of the picture, with masks where the bundle was converted with --mask-decoder: drawn by
--draw, as PNGs by --masks, and in --json in COCO's run-length encoding.

--image again, or --frames, asks about several pictures at once, in that order: before and
after, or frames of a video. Each takes as many positions as one picture does (256 at 224
pixels), and what does not fit is refused before anything runs. A prompt may say <image>
where each is; without it they come first.

--resize huggingface   bicubic on 8 bits, as Hugging Face's processor does with Pillow; a
                       photo is turned as EXIF says, and boxes are in the turned picture
--resize bigvision     bilinear with antialias in float of the picture as it is stored, with
                       the prompt's newline tokenised apart and special tokens like <bos> in
                       the prompt taken as text, as big_vision does

--repeat asks about each picture of a folder (or frame of a video) alone, with the model
opened once: a line of JSON each, of the schema of --json. What cannot be read is a line
with its error, and the exit code is 3.

Tokens are the likeliest ones. With --temperature they are drawn: of the --top-k
likeliest, then of the fewest that have probability --top-p together, then of those that
have --min-p times the likeliest one's. --repetition-penalty comes before all of it, and
at temperature 0 too. pgconv/runtime and pgconv/tfjs have the same options; the same seed
gives the same answer in one runtime on one device.

Without --resize, the bundle's preprocessor_config.json says how pictures are resized and
normalized. An answer ends at any end token of the model, or after --max-new-tokens.

Every file is held to the sha256 of manifest.json: graphs before they are opened, weights
while the answer is computed. --no-check takes files as they are.

Examples:
  pgconv run shapes-onnx-fp16 --image fixtures/shapes/images/000.png --prompt "detect green circle" --draw boxes.png
  pgconv run shapes-wgsl-int4 --image fixtures/shapes/images/000.png --prompt "caption en"
  pgconv run bundles/mix-224 --image photo.jpg --prompt "caption en" --max-new-tokens 30 --json
  pgconv run segments-onnx-fp16 --image fixtures/segments/images/000.png --prompt "segment blue square" --masks masks
  pgconv run bundles/mix-224 --image before.jpg --image after.jpg --prompt "answer en what is new?"
  pgconv run bundles/mix-224 --image https://example.org/cat.jpg --prompt "caption en" --temperature 0.7 --seed 1
  cat photo.jpg | pgconv run bundles/mix-224 --image - --prompt "caption en" --stop "."
  pgconv run bundles/mix-224 --repeat photos --prompt "caption en"
  pgconv run bundles/mix-224 --frames clip.mp4 --every 30 --prompt "caption en"`;
