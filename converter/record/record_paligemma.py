#!/usr/bin/env python3
"""Records what the original implementation of PaliGemma computes with your checkpoint, for `pgconv verify --against`.

    python record_paligemma.py --checkpoint ./my-finetune --samples photos/ --out golden.safetensors
    python record_paligemma.py --checkpoint ./base --adapter ./lora --samples eval.json --stages --out lora.safetensors
    python record_paligemma.py --checkpoint pt_224.npz --engine big_vision --big-vision ~/big_vision \\
        --tokenizer paligemma_tokenizer.model --samples photos/ --out golden.safetensors

Needs torch, transformers (4.42 or later) and pillow, and peft for --adapter; or jax, flax and a checkout of big_vision.
Writes golden.safetensors and, beside it, golden.json: what was run. It computes in float32 and shares no code with
pgconv, which wrote this file. The format is pgconv's docs/recording.md.

Samples are a JSON file {"cases": [{"image": "a.png", "prompt": "caption en", "text": "an answer"}]}, where "images":
[...] gives several pictures and "text" may be absent; a folder with such a cases.json or eval.json, with a.png and
a.txt, or with pictures and prompts.txt; or a .safetensors with N/pixel_values, N/input_ids and N/token_type_ids, as
recordings have them: another implementation's recording can so be recorded again.
"""
import argparse
import contextlib
import hashlib
import importlib.util
import inspect
import json
import os
import platform
import re
import struct
import sys
import warnings
from types import ModuleType

# Before torch and jax are there: cuBLAS reads the first two, XLA the third, once.
os.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'
os.environ['NVIDIA_TF32_OVERRIDE'] = '0'
# bf16 weights of big_vision: XLA would leave out roundings to bf16 that the source asks for.
os.environ['XLA_FLAGS'] = f"{os.environ.get('XLA_FLAGS', '')} --xla_allow_excess_precision=false".strip()

FORMAT = 'pgconv-recording'
FORMAT_VERSION = 1
RECORDER_VERSION = 1
OLDEST_TRANSFORMERS = (4, 42)
PICTURES = re.compile(r'\.(png|jpe?g|webp|gif|tiff?|avif)$', re.IGNORECASE)


class Refused(Exception):
    """What would make a recording that is wrong, or cannot be made: a name for scripts, and what to do."""

    def __init__(self, name, message, way_out):
        super().__init__(message)
        self.name, self.way_out = name, way_out

    def __str__(self):
        return f'{self.name}: {self.args[0]}\n  try: {self.way_out}'


# ---------------------------------------------------------------------------------------------- files and samples


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(1 << 22), b''):
            digest.update(chunk)
    return digest.hexdigest()


def file_entries(folder, names):
    """Names with sizes and hashes, as the manifest of a bundle has them."""
    return [
        dict(path=name, bytes=os.path.getsize(os.path.join(folder, name)), sha256=sha256_of(os.path.join(folder, name)))
        for name in sorted(names)
    ]


def read_json(path, name, way_out):
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise Refused(name, f'cannot read {path}: {error}', way_out) from error


def checkpoint_files(folder):
    """The files of a Hugging Face folder that transformers reads: weights, their index, config.json."""
    names = set(os.listdir(folder))
    if 'model.safetensors' in names:
        weights = {'model.safetensors'}
    elif 'model.safetensors.index.json' in names:
        index = read_json(os.path.join(folder, 'model.safetensors.index.json'), 'bad_index', 'download the index again')
        weights = {'model.safetensors.index.json', *index['weight_map'].values()}
    else:
        raise Refused(
            'no_safetensors', f'{folder} has neither model.safetensors nor an index of shards',
            'save the model as safetensors: model.save_pretrained(out, safe_serialization=True)')
    missing = sorted(weights - names)
    if missing:
        raise Refused('missing_shards', f'{folder} lacks {", ".join(missing)}', 'download the checkpoint again')
    return sorted(weights | (names & {'config.json'}))


def adapter_files(folder):
    try:
        names = set(os.listdir(folder)) & {'adapter_model.safetensors', 'adapter_config.json'}
    except OSError as error:
        raise Refused('no_adapter', f'cannot read {folder}: {error}',
                      "give the folder that PEFT's save_pretrained wrote") from error
    if len(names) < 2:
        raise Refused(
            'no_adapter', f'{folder} lacks adapter_model.safetensors or adapter_config.json',
            "give the folder that PEFT's save_pretrained wrote, as safetensors")
    return sorted(names)


def local_folder(checkpoint):
    """A folder, or the snapshot of a Hub id in the local cache."""
    if os.path.isdir(checkpoint):
        return checkpoint
    try:
        from huggingface_hub import snapshot_download
        return snapshot_download(checkpoint, local_files_only=True)
    except Exception as error:  # of many kinds, by version
        raise Refused('not_found', f'there is no folder {checkpoint}, nor such a model in the local Hub cache: {error}',
                      'check the path, or hf download it first') from error


def check_config(config):
    """Refuses what is no plain PaliGemma, by what its config.json says."""
    if config.get('model_type') != 'paligemma':
        raise Refused('not_paligemma', f"config.json says model_type {config.get('model_type')!r}",
                      'this script records PaliGemma and PaliGemma 2')
    if config.get('quantization_config'):
        raise Refused('quantized_checkpoint', 'config.json has a quantization_config: products would not be float32',
                      'give the checkpoint as it was before it was quantized')


def find_picture(folder, name):
    places = [os.path.join(folder, place, name) for place in ('', 'images', os.path.join('..', 'images'))]
    for place in places:
        if os.path.isfile(place):
            return os.path.normpath(place)
    raise Refused('no_picture', f'there is no picture {name} for {folder}', f'put it at {places[0]}')


def loaded_picture(load, path):
    """What `load` makes of a file, whatever kinds of errors it has for one that is no picture."""
    try:
        return load(path)
    except Exception as error:
        raise Refused('no_picture', f'{path} is no picture that Pillow reads: {error}',
                      'give a PNG or JPEG file') from error


def samples_of_cases(path):
    """Cases of a JSON file: those with different prompts first, as pgconv takes them."""
    way_out = 'write {"cases": [{"image": "a.png", "prompt": "caption en", "text": "an answer, or leave it out"}]}'
    found = read_json(path, 'bad_samples', way_out)
    cases = found.get('cases') if isinstance(found, dict) else None
    if not isinstance(cases, list) or not cases:
        raise Refused('bad_samples', f'{path} has no "cases"', way_out)
    samples, seen, again = [], set(), []
    for at, case in enumerate(cases):
        names = case.get('images', [case.get('image')]) if isinstance(case, dict) else [None]
        prompt = case.get('prompt') if isinstance(case, dict) else None
        listed = isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)
        if not listed or not isinstance(prompt, str):
            raise Refused('bad_samples', f'{path}: case {at} has no "image" (or "images": [...]) and "prompt"', way_out)
        answer = case.get('text')
        if answer is not None and not isinstance(answer, str):
            raise Refused('bad_samples', f'{path}: case {at}: "text" is {answer!r}', way_out)
        sample = dict(names=names, prompt=prompt, answer=answer)
        (again if prompt in seen else samples).append(sample)
        seen.add(prompt)
    return samples + again


def read_samples(path, limit):
    """[{'name', 'images': [path], 'prompt', 'answer' or None}] of a JSON file or a folder."""
    if os.path.isdir(path):
        names = sorted(os.listdir(path))
        cases = next((name for name in ('cases.json', 'eval.json') if name in names), None)
        if cases is not None:
            return read_samples(os.path.join(path, cases), limit)
        folder, samples = path, samples_of_pictures(path, names)
    else:
        folder, samples = os.path.dirname(os.path.abspath(path)), samples_of_cases(path)
    return [
        dict(name=f'{" + ".join(s["names"])} "{s["prompt"]}"', prompt=s['prompt'], answer=s['answer'] or None,
             images=[find_picture(folder, name) for name in s['names']])
        for s in samples[:limit]
    ]


def samples_of_pictures(folder, names):
    pictures = [name for name in names if PICTURES.search(name)]
    if not pictures:
        raise Refused('bad_samples', f'{folder} has no pictures',
                      'put PNG or JPEG files there, with prompts in prompts.txt, one a line, or a.txt beside a.png')

    def text(name):
        try:
            with open(os.path.join(folder, name), encoding='utf-8') as file:
                return file.read()
        except (OSError, ValueError) as error:
            raise Refused('bad_samples', f'{os.path.join(folder, name)}: {error}',
                          'write the prompt there, as UTF-8') from error

    if 'prompts.txt' in names:
        prompts = [line for line in text('prompts.txt').splitlines() if line.strip()]
        if not prompts:
            raise Refused('bad_samples', f'{folder}/prompts.txt has no prompts', 'write one prompt a line')
        pairs = [(pictures[i % len(pictures)], prompts[i % len(prompts)])
                 for i in range(max(len(pictures), len(prompts)))]
    else:
        pairs = [(name, text(f'{os.path.splitext(name)[0]}.txt').rstrip()) for name in pictures]
    return [dict(names=[name], prompt=prompt, answer=None) for name, prompt in pairs]


DTYPES = {'F32': '<f4', 'I64': '<i8', 'I32': '<i4'}


def read_safetensors(path):
    """Tensors by name, of the dtypes that recordings have."""
    import numpy as np
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except OSError as error:
        raise Refused('bad_samples', f'cannot read {path}: {error}', 'give a recording') from error
    try:
        length, = struct.unpack('<Q', data[:8])
        header = json.loads(data[8:8 + length])
    except (struct.error, ValueError) as error:
        raise Refused('bad_samples', f'{path} is no safetensors file: {error}', 'give a recording') from error
    tensors = {}
    for name, entry in header.items():
        if name == '__metadata__':
            continue
        begin, end = (8 + length + offset for offset in entry['data_offsets'])
        if entry['dtype'] not in DTYPES or end > len(data):
            raise Refused('bad_samples', f'{path}: "{name}" is {entry["dtype"]}, or the file ends before it',
                          'give a recording that is whole')
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[entry['dtype']]).reshape(entry['shape'])
    return tensors


def write_safetensors(path, tensors, metadata):
    """By hand: the package safetensors may be absent. Wider elements come first, so that all are aligned."""
    import numpy as np
    names = {np.dtype(form): name for name, form in DTYPES.items()}
    header, at = {'__metadata__': metadata}, 0
    ordered = sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)
    for name, value in ordered:
        header[name] = dict(dtype=names[value.dtype], shape=list(value.shape), data_offsets=[at, at + value.nbytes])
        at += value.nbytes
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(f'{path}.partial', 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for _, value in ordered:
            file.write(np.ascontiguousarray(value).tobytes())
    os.replace(f'{path}.partial', path)


def prepared_samples(path, limit):
    """Rows of pixels and ids as they are fed."""
    tensors = read_safetensors(path)
    numbers = sorted({int(name.split('/')[0]) for name in tensors if re.match(r'\d+/input_ids$', name)})[:limit]
    if not numbers:
        raise Refused('bad_samples', f'{path} has no 0/input_ids', 'give N/pixel_values, N/input_ids, N/token_type_ids')
    samples = []
    for number in numbers:
        parts = [tensors.get(f'{number}/{part}') for part in ('pixel_values', 'input_ids', 'token_type_ids')]
        if any(part is None for part in parts) or parts[1].shape != parts[2].shape or len(parts[1]) != 1:
            raise Refused('bad_samples', f'{path}: case {number} lacks pixel_values, input_ids or token_type_ids, or '
                          'they do not go together', 'give each as a batch of one row')
        pixels, (ids,), (types,) = parts
        samples.append(dict(name=f'{os.path.basename(path)} {number}', images=[], prompt=None, answer=None,
                            case=dict(pixel_values=pixels, **split_at_suffix(ids.tolist(), types.tolist()))))
    return samples


def split_at_suffix(ids, types):
    """Prompt and answer, where the types are 0 and then 1."""
    prefix = types.index(1) if 1 in types else len(types)
    if set(types[prefix:]) - {1} or set(types[:prefix]) - {0} or prefix == 0:
        raise Refused('bad_samples', f'token types {types} are not some 0 and then 1', '0 is the prompt, 1 the answer')
    return dict(prompt=ids[:prefix], answer=ids[prefix:])


# ------------------------------------------------------------------------------------------------- transformers


def version_numbers(version):
    return tuple(int(part) for part in re.findall(r'\d+', version)[:3])


def require_transformers(version):
    """4.41's four-dimensional mask is wrong."""
    if version_numbers(version)[:2] < OLDEST_TRANSFORMERS:
        raise Refused('transformers_too_old', f"transformers {version}: PaliGemma's mask is wrong before 4.42",
                      "pip install 'transformers>=4.42'")


def dtype_argument(config):
    """`dtype` or, before 4.56, `torch_dtype`: the other would be ignored, and 5.x would take the file's own dtype."""
    return 'dtype' if hasattr(config, 'dtype') else 'torch_dtype'


def attention_names(model):
    """Which implementation of attention each part has, as its config says."""
    configs = [getattr(module, 'config', None) for module in model.modules()]
    return {str(name) for name in (getattr(config, '_attn_implementation', None) for config in configs) if name}


def require_eager(names):
    """sdpa drops Gemma 2's softcap, flash attention is causal without a word."""
    if names != {'eager'}:
        raise Refused('attention_not_eager', f'attention is by {", ".join(sorted(names)) or "nobody knows what"}',
                      'take attn_implementation out of config.json, and variables that set it')


def require_float32(dtypes):
    if {str(dtype).removeprefix('torch.') for dtype in dtypes} != {'float32'}:
        raise Refused('not_float32', f'parameters are {", ".join(sorted(map(str, dtypes)))}',
                      'update transformers: it did not load the model as float32')


def require_loaded(missing, mismatched):
    """
    transformers fills what the files lack with random numbers. The pooling head of the image tower, which it makes
    where a config does not say `vision_use_head`, is no part of PaliGemma: nothing of it is read.
    """
    missing = [name for name in missing if not re.search(VISION + 'head\\.', str(name))]
    for what, names in (('are missing in the files', missing), ('have another shape in the files', mismatched)):
        if names:
            few = ', '.join(sorted(map(str, names))[:4])
            raise Refused('weights_not_loaded', f'{len(names)} weights {what}: {few}',
                          'give the whole checkpoint, and the version of transformers that saved it or a later one')


def ids_of(value):
    """A config has one end token, several, or none."""
    return set(value) if isinstance(value, (list, tuple)) else {value} - {None}


def by_number(model, pattern):
    """Modules whose name fits, by the number in it."""
    found = {}
    for name, module in model.named_modules():
        match = re.search(pattern, name)
        if match:
            found[int(match.group(1))] = module
    return [found[number] for number in sorted(found)]


def only(model, pattern):
    found = [module for name, module in model.named_modules() if re.search(pattern, name)]
    if len(found) != 1:
        raise Refused('unknown_layout', f'{len(found)} modules of the model fit {pattern}',
                      'this version of transformers names its modules in a way that this script does not know')
    return found[0]


VISION, TEXT = r'(?:^|\.)vision_tower\.(?:vision_model\.)?', r'(?:^|\.)language_model\.(?:model\.)?'


class Transformers:
    """Hugging Face's PaliGemma in float32 with eager attention, one row at a time, no cache."""

    name = 'transformers'

    def __init__(self, args):
        import numpy as np
        import torch
        import transformers
        require_transformers(transformers.__version__)
        self.np, self.torch = np, torch
        self.device = torch.device(args.device)
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision('highest')
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        if torch.is_autocast_enabled():
            raise Refused('autocast', 'torch.autocast is on', 'run the script by itself')
        self.check_products()
        folder = local_folder(args.checkpoint)
        check_config(read_json(os.path.join(folder, 'config.json'), 'bad_config', 'give a Hugging Face folder'))
        self.files = file_entries(folder, checkpoint_files(folder))
        self.versions = dict(torch=torch.__version__, transformers=transformers.__version__)
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        # Versions differ in whether the parts take over what the whole is told.
        for part in (config, config.text_config, config.vision_config):
            part._attn_implementation = 'eager'
        model, loading = transformers.PaliGemmaForConditionalGeneration.from_pretrained(
            folder, config=config, attn_implementation='eager', use_safetensors=True, output_loading_info=True,
            local_files_only=True, **{dtype_argument(config): torch.float32})
        loading = loading if isinstance(loading, dict) else vars(loading)
        head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
        tied = head is not None and head.weight.data_ptr() == embedding.weight.data_ptr()
        missing = [name for name in loading['missing_keys'] if not (tied and str(name).endswith('lm_head.weight'))]
        require_loaded(missing, loading['mismatched_keys'])
        self.unused = sorted(map(str, loading['unexpected_keys']))
        self.adapters = []
        if args.adapter:
            model = self.adapted(model, args.adapter)
        self.model = model.float().eval().to(self.device)
        require_float32({parameter.dtype for parameter in self.model.parameters()})
        require_eager(attention_names(self.model))
        base = self.model.get_base_model() if args.adapter else self.model
        self.parameters = inspect.signature(base.forward).parameters
        if 'token_type_ids' not in self.parameters:
            raise Refused('unknown_signature', "the model takes no token_type_ids, which its mask is made of",
                          "pip install -U transformers")
        config = base.config
        token = getattr(config, 'image_token_id', None)
        self.image_token_id = config.image_token_index if token is None else token
        self.end_token_ids = ids_of(config.text_config.eos_token_id)
        self.vocabulary = embedding.weight.shape[0]
        self.projector = only(self.model, r'(?:^|\.)multi_modal_projector$')
        self.folder, self.processor_folder, self._processor = folder, args.processor, None

    def adapted(self, model, folder):
        """PEFT's model with the adapter in place, never merged: on tied weights a merge is another model."""
        import peft
        self.versions['peft'] = peft.__version__
        self.adapters = [dict(path=folder, scale=1, files=file_entries(folder, adapter_files(folder)))]
        with warnings.catch_warnings():
            warnings.filterwarnings('error', message='.*missing adapter keys.*')
            try:
                return peft.PeftModel.from_pretrained(model, folder)
            except UserWarning as error:
                raise Refused('adapter_not_loaded', f'PEFT left parts of the adapter out: {str(error)[:200]}',
                              'use the version of transformers that the adapter was trained with') from error

    def take_image_id(self, token):
        """config.json says which it is."""

    def check_adapter(self, case):
        """An adapter whose names fit nothing changes nothing."""
        if not self.adapters:
            return
        logits, features, _ = self.forward(case['pixel_values'], case['prompt'], len(case['prompt']))
        with self.model.disable_adapter():
            without, others, _ = self.forward(case['pixel_values'], case['prompt'], len(case['prompt']))
        if self.np.array_equal(logits, without) and self.np.array_equal(features, others):
            raise Refused('adapter_without_effect', 'the model computes the same without the adapter',
                          "check that its names are those of this transformers' modules")

    def check_products(self):
        """Asks the device, not its flags: TF32 keeps 10 bits of a factor, bf16 7."""
        torch, fine = self.torch, 1 + 2.0 ** -16
        ones = torch.full((64, 64), fine, device=self.device)
        product = (ones @ torch.eye(64, device=self.device)).max().item()
        kernel = torch.eye(8, device=self.device).reshape(8, 8, 1, 1)
        convolved = torch.nn.functional.conv2d(torch.full((1, 8, 8, 8), fine, device=self.device), kernel).max().item()
        require_exact(product, convolved, fine)

    @property
    def processor(self):
        if self._processor is None:
            from transformers import AutoProcessor
            try:
                self._processor = AutoProcessor.from_pretrained(
                    self.processor_folder or self.folder, local_files_only=True)
            except Exception as error:  # of many kinds, by version
                raise Refused('no_processor', f'the checkpoint has no processor that transformers reads: {error}',
                              'name a folder that has one with --processor, or prepared --samples') from error
        return self._processor

    def prepare(self, sample):
        """Pixels and ids by the checkpoint's own processor."""
        from transformers.image_utils import load_image
        pictures = [loaded_picture(load_image, path) for path in sample['images']]
        inputs = self.processor(
            images=[pictures] if len(pictures) > 1 else pictures, text=sample['prompt'], return_tensors='pt')
        prompt = inputs['input_ids'][0].tolist()
        pixels = inputs['pixel_values'].float().numpy()
        pixels = pixels.reshape(-1, *pixels.shape[-3:])
        if len(pixels) != len(pictures):
            raise Refused('several_pictures', f'the processor made {len(pixels)} rows of pixels of {len(pictures)}',
                          'update transformers, or give one picture a case')
        answer = []
        if sample['answer'] is not None:
            answer = self.processor.tokenizer(sample['answer'], add_special_tokens=False)['input_ids']
        return dict(pixel_values=pixels, prompt=prompt, answer=list(answer))

    def flags(self):
        torch = self.torch
        return dict(
            dtype='float32', attention='eager', tf32=bool(torch.backends.cudnn.allow_tf32),
            matmul_precision=torch.get_float32_matmul_precision(),
            deterministic=torch.are_deterministic_algorithms_enabled(), cache=False)

    def described(self):
        device = self.torch.cuda.get_device_name(self.device) if self.device.type == 'cuda' else platform.processor()
        image = self._processor and getattr(self._processor, 'image_processor', None)
        return dict(device=self.device.type, device_name=device or platform.machine(), unused_weights=self.unused,
                    processor=image and type(image).__name__)

    def forward(self, pixels, ids, prefix, stages=False):
        """(logits of the text [T, V], image features [pictures, P, D], stages by name) of one row."""
        torch, kept = self.torch, {}
        types = [0] * prefix + [1] * (len(ids) - prefix)
        tensor = lambda row: torch.tensor([row], device=self.device)  # noqa: E731
        inputs = dict(
            input_ids=tensor(ids), attention_mask=tensor([1] * len(ids)), token_type_ids=tensor(types), use_cache=False,
            pixel_values=torch.from_numpy(self.np.array(pixels)).to(self.device))
        # 4.49 and later 4.x make a suffix causal only with labels; 5.x by the types alone.
        if prefix < len(ids) and 'labels' in self.parameters:
            inputs['labels'] = tensor([-100] * prefix + ids[prefix:])
        hooks = [self.projector.register_forward_hook(lambda _m, _i, out: kept.__setitem__('image_features', out))]
        if stages:
            hooks += self.stage_hooks(kept)
        try:
            with torch.no_grad():
                logits = self.model(**inputs).logits
        finally:
            for hook in hooks:
                hook.remove()
        if logits.shape[1] != len(ids):
            raise Refused('logits_cut', f'logits of {logits.shape[1]} positions for {len(ids)} tokens',
                          'this version of transformers keeps some positions only, by a name this script does not know')
        arrays = {name: value.detach().float().cpu().numpy() for name, value in kept.items()}
        features = arrays.pop('image_features')
        return logits[0, ids.count(self.image_token_id):].float().cpu().numpy(), features, arrays

    def stage_hooks(self, kept):
        """Inputs of layers and what comes behind the last norm: names as in pgconv's programs."""
        tensor = self.torch.is_tensor
        first = lambda args, kwargs: next(v for v in (*args, *kwargs.values()) if tensor(v))  # noqa: E731

        def before(module, name):
            keep = lambda _m, args, kwargs: kept.__setitem__(name, first(args, kwargs))  # noqa: E731
            return module.register_forward_pre_hook(keep, with_kwargs=True)

        def behind(module, name):
            return module.register_forward_hook(lambda _m, _i, out: kept.__setitem__(name, out))

        vision, text = (by_number(self.model, place + r'layers\.(\d+)$') for place in (VISION + r'encoder\.', TEXT))
        last = only(self.model, VISION + 'post_layernorm$')
        return [
            *(before(layer, f'vit.{i}') for i, layer in enumerate([*vision, last])), behind(last, 'vit.post_layernorm'),
            *(before(layer, f'lm.{i}') for i, layer in enumerate(text)),
            behind(only(self.model, TEXT + 'norm$'), f'lm.{len(text)}'),
        ]


def require_exact(product, convolved, fine):
    for what, value in (('matrix products', product), ('convolutions', convolved)):
        if value != fine:
            raise Refused('not_float32_products', f'{what} of this device are not float32: {fine} · 1 is {value}',
                          'unset NVIDIA_TF32_OVERRIDE and settings of TF32 or bf16, or run with --device cpu')


# -------------------------------------------------------------------------------------------------- big_vision


def flatten(tree, prefix=''):
    for name, value in tree.items():
        yield from flatten(value, f'{prefix}{name}/') if hasattr(value, 'items') else [(f'{prefix}{name}', value)]


def unflatten(flat):
    tree = {}
    for path, value in flat.items():
        *folders, name = path.split('/')
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = value
    return tree


def unscanned(flat):
    """Layers of a scan, which lie in one array, as layers of their own: hooks do not reach into a scan."""
    places = (('img/Transformer/encoderblock/', 'img/Transformer/encoderblock_{}/'), ('llm/layers/', 'llm/layers/{}/'))
    found = {}
    for path, value in flat.items():
        place = next((pair for pair in places if path.startswith(pair[0]) and not path[len(pair[0])].isdigit()), None)
        if place is None:
            found[path] = value
        else:
            for layer, part in enumerate(value):
                found[place[1].format(layer) + path[len(place[0]):]] = part
    return found


def sizes_of(shapes):
    """What big_vision's configs hold, read off an unscanned tree of parameters."""
    try:
        attention = 'llm/layers/0/attn/'
        joined = shapes.get(f'{attention}qkv_einsum/w')
        heads, width, head_dim = joined[1:] if joined else shapes[f'{attention}q_einsum/w']
        kv = heads if joined else shapes[f'{attention}kv_einsum/w'][1]
        llm = dict(width=width, depth=depth_of(shapes, r'llm/layers/(\d+)/'), num_heads=heads, num_kv_heads=kv,
                   head_dim=head_dim, mlp_dim=shapes['llm/layers/0/mlp/linear'][0])
        patch, _, _, image_width = shapes['img/embedding/kernel']
        block = 'img/Transformer/encoderblock_0/'
        img = dict(width=image_width, depth=depth_of(shapes, r'img/Transformer/encoderblock_(\d+)/'),
                   mlp_dim=shapes[f'{block}MlpBlock_0/Dense_0/kernel'][1],
                   num_heads=shapes[f'{block}MultiHeadDotProductAttention_0/query/kernel'][1],
                   patch_size=(patch, patch))
        return llm, img, 'llm/layers/0/post_ffw_norm/scale' in shapes, shapes['llm/embedder/input_embedding'][0]
    except (KeyError, ValueError) as error:
        raise Refused('unknown_layout', f"the parameters are not those of big_vision's PaliGemma: no {error}",
                      'give the .npz as big_vision wrote it, with img and llm in it') from error


def depth_of(shapes, pattern):
    return 1 + max(int(match.group(1)) for match in (re.match(pattern, path) for path in shapes) if match)


@contextlib.contextmanager
def stand_in_for_tensorflow():
    """big_vision's utils import a module of tensorflow to open files with, and its models open none."""
    names = ('tensorflow', 'tensorflow.io', 'tensorflow.io.gfile')
    if importlib.util.find_spec(names[0]) is not None:
        yield
        return
    made = {name: ModuleType(name) for name in names}
    made[names[0]].io, made[names[1]].gfile = made[names[1]], made[names[2]]
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


class BigVision:
    """google-research/big_vision's own model, without jit, scan or cache."""

    name = 'big_vision'

    def __init__(self, args):
        import numpy as np
        if args.adapter:
            raise Refused('adapter_needs_transformers', "big_vision has no PEFT adapters",
                          'record with --engine transformers')
        if args.big_vision:
            sys.path.insert(0, args.big_vision)
        if args.device == 'cpu':
            os.environ['JAX_PLATFORMS'] = 'cpu'
        import jax
        import jax.numpy as jnp
        jax.config.update('jax_default_matmul_precision', 'highest')
        try:
            import flax.io  # before the stand-in: it looks for tensorflow too
            import ml_collections
            with stand_in_for_tensorflow():
                from big_vision.models import vit
                from big_vision.models.ppp import gemma
                from big_vision.models.proj.paligemma import paligemma
        except ImportError as error:
            raise Refused('no_big_vision', f'cannot import big_vision: {error}',
                          'git clone https://github.com/google-research/big_vision, install what its requirements say, '
                          'and name the checkout with --big-vision') from error
        self.np, self.jax, self.jnp, self.vit, self.gemma, self.linen = np, jax, jnp, vit, gemma, flax.linen
        self.check_products()
        if not os.path.isfile(args.checkpoint):
            raise Refused('not_found', f'there is no file {args.checkpoint}', 'give the .npz')
        folder, file = os.path.split(os.path.abspath(args.checkpoint))
        self.files, self.adapters = file_entries(folder, [file]), []
        self.versions = dict(jax=jax.__version__, flax=flax.__version__)
        # 2-byte voids are bfloat16; every array keeps the dtype of the file, which big_vision rounds in.
        flat = unscanned({
            path.removeprefix('params/'): value.view(jnp.bfloat16) if value.dtype.type is np.void else value
            for path, value in np.load(args.checkpoint, allow_pickle=False).items()
        })
        self.params = jax.tree.map(jnp.asarray, unflatten(flat))
        llm, img, second, self.vocabulary = sizes_of({path: value.shape for path, value in flat.items()})
        self.variant = self.use_config(ml_collections, llm, second)
        self.model = paligemma.Model(
            img=dict(img, pool_type='none', scan=False),
            llm=dict(variant='of the checkpoint', vocab_size=self.vocabulary, scan=False, remat_policy='none'))
        self.patch, tokens = img['patch_size'][0], flat['img/pos_embedding'].shape[1]
        self.image_tokens, self.image_size = tokens, round(tokens ** 0.5) * self.patch
        self.image_token_id = self.vocabulary  # big_vision has no row for <image>
        self.end_token_ids, self.tokenizer_file, self._tokenizer = {1}, args.tokenizer, None
        self.parameter_dtypes = sorted({str(value.dtype) for value in flat.values()})
        self.check_parameters(flat)

    def use_config(self, ml_collections, llm, second):
        """Puts the checkpoint's sizes where big_vision looks a variant up; the rest is the published variant's."""
        known, fields, get_config = {}, self.gemma.Model.__dataclass_fields__, self.gemma.get_config
        for variant in ('gemma_2b', 'gemma2_2b', 'gemma2_9b', 'gemma2_27b'):
            try:
                known[variant] = dict(get_config(variant))
            except ValueError:  # before Gemma 2
                continue
        name = next((v for v, c in known.items() if all(c[key] == size for key, size in llm.items())), None)
        pattern = known.get(name or ('gemma2_2b' if second else 'gemma_2b'))
        if pattern is None or (second and 'post_norms' not in fields):
            raise Refused('big_vision_too_old', 'this big_vision has no Gemma 2', 'git pull')
        config = {**pattern, **llm, 'vocab_size': self.vocabulary}
        if 'final_logits_softcap' in fields:  # big_vision's own transfers switch it off
            config['final_logits_softcap'] = 0.0
        self.gemma.get_config = lambda _variant: ml_collections.ConfigDict(config)
        return name or f'sizes of no published model, the rest as {"gemma2_2b" if second else "gemma_2b"}'

    def check_parameters(self, flat):
        """flax ignores parameters that a model does not ask for."""
        jnp, size = self.jnp, self.image_size
        made = self.jax.eval_shape(lambda: self.model.init(
            self.jax.random.key(0), jnp.zeros((1, size, size, 3)), jnp.zeros((1, 2), jnp.int32),
            jnp.zeros((1, 2), jnp.int32)))['params']
        expected = {path: tuple(value.shape) for path, value in flatten(made)}
        given = {path: tuple(value.shape) for path, value in flat.items()}
        wrong = sorted(path for path in {*expected, *given} if expected.get(path) != given.get(path))
        if wrong:
            raise Refused('weights_not_loaded', f'{len(wrong)} parameters are not as the model has them: {wrong[:4]}',
                          'give the .npz as big_vision wrote it, and a big_vision that knows it')

    def check_products(self):
        jnp, fine = self.jnp, 1 + 2.0 ** -16
        product = float((jnp.full((64, 64), fine) @ jnp.eye(64)).max())
        convolved = self.jax.lax.conv(
            jnp.full((1, 8, 8, 8), fine), jnp.eye(8).reshape(8, 8, 1, 1), (1, 1), 'VALID')
        require_exact(product, float(convolved.max()), fine)

    def take_image_id(self, token):
        """The model never sees image tokens: samples that were prepared may have any id for them."""
        self.image_token_id = token

    def check_adapter(self, case):
        pass

    @property
    def tokenizer(self):
        if self._tokenizer is None:
            if not self.tokenizer_file:
                raise Refused('no_tokenizer', 'an .npz has no tokenizer',
                              "name PaliGemma's paligemma_tokenizer.model with --tokenizer")
            import sentencepiece
            self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=self.tokenizer_file)
        return self._tokenizer

    def prepare(self, sample):
        """Pixels as big_vision makes them (bilinear with antialias, in float), ids as <bos> prompt \\n."""
        from PIL import Image
        size, np, jnp = self.image_size, self.np, self.jnp
        rows = []
        for path in sample['images']:
            picture = loaded_picture(lambda name: np.asarray(Image.open(name).convert('RGB')), path)
            picture = jnp.asarray(picture, jnp.float32)
            resized = self.jax.image.resize(picture, (size, size, 3), 'bilinear', antialias=True)
            rows.append(np.asarray(resized / 127.5 - 1).transpose(2, 0, 1))
        encode, images = self.tokenizer.encode, [self.image_token_id] * (self.image_tokens * len(rows))
        prompt = [*images, self.tokenizer.bos_id(), *encode(sample['prompt']), *encode('\n')]
        answer = encode(sample['answer']) if sample['answer'] is not None else []
        return dict(pixel_values=np.stack(rows).astype(np.float32), prompt=prompt, answer=list(answer))

    def flags(self):
        return dict(dtype='float32', attention='eager', tf32=False, deterministic=True, cache=False,
                    matmul_precision=str(self.jax.config.jax_default_matmul_precision),
                    parameter_dtypes=self.parameter_dtypes)

    def described(self):
        device = self.jax.devices()[0]
        return dict(device='cpu' if device.platform == 'cpu' else 'cuda', device_name=device.device_kind,
                    variant=self.variant)

    def forward(self, pixels, ids, prefix, stages=False):
        """As Transformers.forward."""
        np, jnp, inside = self.np, self.jnp, []
        images = ids.count(self.image_token_id)
        text = ids[images:]
        frames = jnp.asarray(pixels.transpose(0, 2, 3, 1))
        mask = [0] * (prefix - images) + [1] * (len(ids) - prefix)

        def keep(call, args, kwargs, context):
            out = call(*args, **kwargs)
            if stages and context.method_name == '__call__' and isinstance(context.module, self.gemma.Block):
                inside.append(out[0])
            return out

        with self.linen.intercept_methods(keep):
            logits, out = self.model.apply(
                {'params': self.params}, frames if len(frames) == 1 else frames[None],
                jnp.asarray([text], jnp.int32), jnp.asarray([mask], jnp.int32))
        width = out['img/zimg'].shape[-1]
        features = np.asarray(out['img/zimg'], np.float32).reshape(len(frames), -1, width)
        return np.asarray(logits[0], np.float32), features, self.stages(out, inside) if stages else {}

    def stages(self, out, inside):
        blocks = out['img/encoder']
        names = sorted(name for name in blocks if name.startswith('block'))
        vision = [out['img/with_posemb'], *(blocks[name]['+mlp'] for name in names)]
        text = [self.jnp.concatenate([out['img/zimg'], out['llm/ztxt']], 1), *inside[:-1], out['llm/pre_logits']]
        found = {f'vit.{i}': value for i, value in enumerate(vision)}
        found['vit.post_layernorm'] = out['img/encoded']
        found.update({f'lm.{i}': value for i, value in enumerate(text)})
        return {name: self.np.asarray(value, self.np.float32) for name, value in found.items()}


# --------------------------------------------------------------------------------------------------- recording


def check_ids(engine, case):
    """Image tokens first, and no id that the model has no row for."""
    ids = case['prompt'] + case['answer']
    images = ids.count(engine.image_token_id)
    pictures = len(case['pixel_values'])
    if images == 0 or images % pictures or any(i != engine.image_token_id for i in ids[:images]):
        raise Refused('image_tokens', f'{images} image tokens for {pictures} pictures, or not in front of the text',
                      'a prompt is k·N image tokens, then <bos>, the text and a line feed')
    beyond = [i for i in ids[images:] if not 0 <= i < engine.vocabulary]
    if beyond:
        raise Refused('token_beyond_vocabulary', f'token {beyond[0]} of {engine.vocabulary}',
                      'give the tokenizer that the checkpoint was trained with')
    if len(case['prompt']) <= images:
        raise Refused('empty_prompt', 'there is no text behind the picture', 'a prompt has at least <bos>')


def greedy(engine, case, draft, steps):
    """Greedy ids and their logits [n, V], by whole passes without a cache; a draft that is right costs one pass.

    It ends behind the end token, and never says <image>. Nothing in an answer sees what stands behind it, so each row
    is filled to one length, for which jax compiles once.
    """
    np, prompt, ids = engine.np, case['prompt'], list(draft[:steps])
    while True:
        row = prompt + ids + [0] * (steps - len(ids))
        logits, _, _ = engine.forward(case['pixel_values'], row, len(prompt))
        tail = logits[len(logits) - steps - 1:][:len(ids) + 1]
        choices = tail.copy()
        if engine.image_token_id < choices.shape[1]:
            choices[:, engine.image_token_id] = -np.inf
        best = choices.argmax(-1).tolist()
        right = next((i for i, token in enumerate(ids) if token != best[i]), len(ids))
        known = ids[:right] + [best[right]]
        end = next((i for i, token in enumerate(known) if token in engine.end_token_ids), len(known))
        if end < len(known) or len(known) >= steps:
            known = known[:min(end + 1, steps)]
            return known, tail[:len(known)]
        ids = known


def record_case(engine, case, steps, stages):
    """Tensors of one case."""
    np = engine.np
    said, said_logits = greedy(engine, case, case['answer'], steps) if steps > 0 else ([], None)
    answer = case['answer'] or said
    ids = case['prompt'] + answer
    logits, features, inside = engine.forward(case['pixel_values'], ids, len(case['prompt']), stages)
    tensors = dict(
        pixel_values=np.asarray(case['pixel_values'], '<f4'), input_ids=np.asarray([ids], '<i8'),
        token_type_ids=np.asarray([[0] * len(case['prompt']) + [1] * len(answer)], '<i8'),
        image_features=features, logits=logits[None])
    if said:
        tensors.update(greedy_ids=np.asarray([said], '<i8'), greedy_logits=said_logits[None])
    tensors.update({f'stages/{name}': value for name, value in inside.items()})
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise Refused('not_finite', f'{name} has NaN or Infinity', 'the checkpoint does not work in float32')
    return tensors


def check_mask(engine, case):
    """Whether the prompt is seen both ways and the answer is not: asked of the model, whatever its version."""
    np, prompt = engine.np, case['prompt']
    answer = (case['answer'] + prompt[-1:] * 3)[:3]

    def logits(ids):
        return engine.forward(case['pixel_values'], ids, len(prompt))[0]

    def other(token):
        return 5 if token != 5 else 6

    whole = logits(prompt + answer)
    near = 1e-4 * np.abs(whole).max()
    later = logits(prompt + answer[:-1] + [other(answer[-1])])
    text = slice(len(prompt) - prompt.count(engine.image_token_id), -1)
    if np.abs(later[text] - whole[text]).max() > near:
        raise Refused('suffix_sees_ahead', 'the answer is seen both ways: logits of its tokens change with later ones',
                      'this version of transformers makes another mask than it was trained with; install another one')
    alone = logits(prompt)
    if np.abs(alone - whole[:len(alone)]).max() > near:
        raise Refused('prefix_sees_suffix', 'the prompt sees the answer: its logits change with it',
                      'this version of transformers makes another mask than it was trained with; install another one')
    changed = logits(prompt[:-1] + [other(prompt[-1])])
    if len(alone) > 1 and np.array_equal(changed[0], alone[0]):
        raise Refused('prefix_is_causal', 'the first token of the prompt does not see its last',
                      'this version of transformers makes another mask than it was trained with; install another one')


def require_same(first, second, np):
    """A recording that another run of the same does not give proves nothing."""
    for name, value in first.items():
        if not np.array_equal(value, second[name]):
            raise Refused('not_repeatable', f'{name} of the first case differs between two runs',
                          'run with --device cpu, or on another driver: algorithms here are not deterministic')


def engine_for(args):
    name = args.engine
    if name == 'auto':
        name = 'big_vision' if args.checkpoint.endswith('.npz') else 'transformers'
    return (BigVision if name == 'big_vision' else Transformers)(args)


def record(engine, samples, args):
    """(tensors, cases as the JSON has them) of all samples."""
    np, tensors, cases = engine.np, {}, []
    for number, sample in enumerate(samples):
        case = sample.get('case') or engine.prepare(sample)
        check_ids(engine, case)
        if number == 0:
            engine.check_adapter(case)
            check_mask(engine, case)
        made = record_case(engine, case, args.greedy, args.stages)
        if number == 0:
            require_same(made, record_case(engine, case, args.greedy, args.stages), np)
        tensors.update({f'{number}/{name}': value for name, value in made.items()})
        cases.append(dict(
            name=sample['name'], images=[os.path.basename(path) for path in sample['images']], prompt=sample['prompt'],
            answer=sample['answer'], input_ids=made['input_ids'][0].tolist(),
            token_type_ids=made['token_type_ids'][0].tolist(),
            greedy_ids=made['greedy_ids'][0].tolist() if 'greedy_ids' in made else [],
            pixels_sha256=hashlib.sha256(made['pixel_values'].tobytes()).hexdigest()))
        print(f'case {number + 1} of {len(samples)}: {sample["name"]}', file=sys.stderr)
    return tensors, cases


def check_out(args):
    """Before hours of work: whether there is a place to write to, and nothing there that would be lost."""
    folder = os.path.dirname(os.path.abspath(args.out))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise Refused('not_writable', f'{folder} is no folder that can be written to',
                      'make it, or choose another --out')
    read = [args.checkpoint, args.samples, args.adapter, args.processor, args.tokenizer]
    for path in (args.out, description_of(args.out)):
        inside = any(name and (os.path.realpath(path) == os.path.realpath(name)
                               or os.path.dirname(os.path.realpath(path)) == os.path.realpath(name)) for name in read)
        if os.path.lexists(path) and inside:
            raise Refused('overwrites_input', f'{path} is among what is read', 'choose another --out')
        if os.path.lexists(path) and not args.force:
            raise Refused('exists', f'there is a file {path} already',
                          'choose another --out, or replace it with --force')


def description_of(out):
    return f'{os.path.splitext(out)[0]}.json'


def write_recording(out, engine, tensors, cases, args):
    write_safetensors(out, tensors, dict(format=FORMAT, version=str(FORMAT_VERSION)))
    described = dict(
        format=FORMAT, version=FORMAT_VERSION,
        recorder=dict(name='record_paligemma.py', version=str(RECORDER_VERSION)),
        tensors=dict(file=os.path.basename(out), bytes=os.path.getsize(out), sha256=sha256_of(out)),
        engine=engine.name,
        versions=dict(python=platform.python_version(), numpy=engine.np.__version__, **engine.versions),
        checkpoint=dict(path=args.checkpoint, files=engine.files), adapters=engine.adapters,
        arithmetic=engine.flags(), machine=engine.described(), image_token_id=engine.image_token_id,
        stages=args.stages, repeated=True, cases=cases)
    path = description_of(out)
    with open(f'{path}.partial', 'w', encoding='utf-8') as file:
        json.dump(described, file, indent=1, ensure_ascii=False)
        file.write('\n')
    os.replace(f'{path}.partial', path)
    return path


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument('--checkpoint', required=True, help='a Hugging Face folder or cached Hub id, or an .npz')
    parser.add_argument('--adapter', action='append', help="a PEFT adapter's folder")
    parser.add_argument('--samples', required=True, help='a folder, a JSON file with cases, or prepared .safetensors')
    parser.add_argument('--engine', choices=['auto', 'transformers', 'big_vision'], default='auto',
                        help='auto: big_vision for an .npz')
    parser.add_argument('--out', required=True, help='the .safetensors to write; a .json goes beside it')
    parser.add_argument('--force', action='store_true', help='replace a recording that is there')
    parser.add_argument('--stages', action='store_true', help="every layer's output too")
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--limit', type=int, default=8, help='cases at most (default: 8)')
    parser.add_argument('--greedy', type=int, default=12, help='greedy tokens of each case (default: 12)')
    parser.add_argument('--processor', help="a folder with processor and tokenizer (default: the checkpoint's)")
    parser.add_argument('--tokenizer', help='tokenizer.model, for big_vision')
    parser.add_argument('--big-vision', help='a checkout of big_vision (default: what can be imported)')
    args = parser.parse_args(argv)
    if not args.out.endswith('.safetensors') or args.limit < 1 or args.greedy < 0:
        parser.error('--out ends in .safetensors, --limit is at least 1, --greedy at least 0')
    if args.adapter and len(args.adapter) > 1:
        raise Refused('several_adapters', 'one adapter at a time: a second would have to be merged into the first',
                      'merge all but the last into the checkpoint, and save it')
    args.adapter = args.adapter[0] if args.adapter else None
    return args


def main(argv=None):
    try:
        args = arguments(argv)
        check_out(args)
        prepared = args.samples.endswith('.safetensors')
        samples = (prepared_samples if prepared else read_samples)(args.samples, args.limit)
        engine = engine_for(args)
        if prepared:
            engine.take_image_id(samples[0]['case']['prompt'][0])
        tensors, cases = record(engine, samples, args)
        path = write_recording(args.out, engine, tensors, cases, args)
    except Refused as refused:
        print(f'refused: {refused}', file=sys.stderr)
        return 3
    print(f'{args.out}, {path}: {len(cases)} cases of {args.checkpoint}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
