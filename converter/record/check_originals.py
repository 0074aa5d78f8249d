#!/usr/bin/env python3
"""Runs record_paligemma.py with the originals on our fixtures, and holds what they say to goldens and to bundles.

    npm run build
    python3 converter/record/check_originals.py --python ~/venv/bin/python --big-vision ~/big_vision --out /tmp/recorded

`--python` is an interpreter with torch, transformers, peft and pillow; it may be given again, for another version. With
`--big-vision`, the first of them has jax, flax, einops, ml_collections and sentencepiece too. Needs numpy itself, and
is no part of `npm test`. `--only TEXT` takes the steps whose names have it, `--list` says the names. Several pictures
are held to goldens where `--frames` names a folder of them. `--synth VARIANT` adds a model of full size with random
weights in bf16, which `pgconv synth` makes (a 3B: 18 GB of disk with its bundle, 14 GB of memory).
`--recorder=OPTION` goes to the script as it is.

For each recording it prints how far it is from the goldens, then what `pgconv verify --against` says of a bundle in
fp32. Exit code 1 when anything is further than 1e-5 of the largest value, or when a bundle is told to be wrong.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

import numpy as np

import record_paligemma as recorder

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '..', '..'))
FIXTURES = 'fixtures'  # commands run in ROOT, so that recordings name no folders of this machine
SCRIPT = os.path.join(HERE, 'record_paligemma.py')
CLI = os.path.join(ROOT, 'dist', 'converter', 'cli.js')
NEAR = 1e-5
TINY = ('pg1-tiny', 'pg2-tiny')


def fixture(*path):
    return os.path.join(FIXTURES, *path)


def write_prepared(out, cases):
    """Samples as they are fed: what recordings have of inputs."""
    tensors = {}
    for number, (pixels, ids, types) in enumerate(cases):
        row = dict(pixel_values=np.asarray(pixels, '<f4'), input_ids=np.asarray([ids], '<i8'),
                   token_type_ids=np.asarray([types], '<i8'))
        tensors.update({f'{number}/{name}': value for name, value in row.items()})
    recorder.write_safetensors(out, tensors, {})
    return out


def as_before_5(checkpoint, out):
    """A copy of a folder whose image tower has the names that transformers 4.x gives it, and published ones have."""
    if not os.path.isdir(out):
        tensors = {}
        for name in sorted(os.listdir(checkpoint)):
            if name.endswith('.safetensors'):
                tensors.update(recorder.read_safetensors(os.path.join(checkpoint, name)))
        tower = 'vision_tower.'
        renamed = {f'{tower}vision_model.{name.removeprefix(tower)}' if name.startswith(tower) else name: value
                   for name, value in tensors.items()}
        os.makedirs(f'{out}.partial')
        recorder.write_safetensors(os.path.join(f'{out}.partial', 'model.safetensors'), renamed, dict(format='pt'))
        for name in os.listdir(checkpoint):
            if name.endswith('.json') and not name.endswith('.index.json'):
                shutil.copy(os.path.join(checkpoint, name), f'{out}.partial')
        os.rename(f'{out}.partial', out)
    return out


def full_size(variant, out):
    """A checkpoint of random weights, made once, and two cases of different lengths for it."""
    checkpoint = os.path.join(out, variant)
    if not os.path.isdir(checkpoint):
        told(['node', CLI, 'synth', '--variant', variant, '--format', 'hf', '--dtype', 'bf16', '--out', checkpoint])
    with open(os.path.join(checkpoint, 'config.json'), encoding='utf-8') as file:
        config = json.load(file)
    vision = config['vision_config']
    picture = config.get('image_token_index', config.get('image_token_id'))
    size, tokens = vision['image_size'], (vision['image_size'] // vision['patch_size']) ** 2
    random = np.random.default_rng(0)
    cases = []
    for prefix, suffix in ((6, 4), (17, 3)):
        text = random.integers(1000, 200_000, prefix + suffix).tolist()
        pixels = random.uniform(-1, 1, (1, 3, size, size))
        cases.append((pixels, [picture] * tokens + text, [0] * (tokens + prefix) + [1] * suffix))
    return checkpoint, write_prepared(os.path.join(out, f'{variant}.samples.safetensors'), cases)


def golden_cases(golden):
    rows = zip(golden['pixel_values'], golden['input_ids'].tolist(), golden['token_type_ids'].tolist())
    return [(pixels[None], ids, types) for pixels, ids, types in rows]


class Stopped(Exception):
    """Why a step ended."""


class Differences:
    """How far arrays are from goldens, by kind, of the largest value."""

    def __init__(self):
        self.found = {}

    def add(self, kind, value, golden):
        if value.shape != golden.shape:
            raise Stopped(f'{kind}: recorded {value.shape}, golden {golden.shape}')
        far = float(np.abs(value.astype('f8') - golden).max() / np.abs(golden).max())
        self.found[kind] = max(far, self.found.get(kind, 0))

    def text(self):
        return ', '.join(f'{kind} {far:.1e}' for kind, far in self.found.items()) or 'no golden'

    def near(self):
        return all(far <= NEAR for far in self.found.values())


def against_tiny(name):
    """Compares with the goldens of a tiny fixture: values, stages, greedy tokens."""
    def compare(recorded, _described, differences):
        golden = recorder.read_safetensors(fixture(name, 'golden.safetensors'))
        stages = recorder.read_safetensors(fixture(name, 'stages.safetensors'))
        for row in range(sum(name.endswith('/input_ids') for name in recorded)):
            differences.add('image features', recorded[f'{row}/image_features'][0], golden['image_features'][row])
            for logits in ('logits', 'hf_logits'):
                differences.add(logits, recorded[f'{row}/logits'][0], golden[logits][row])
            said, known = recorded[f'{row}/greedy_ids'][0], golden['gen_tokens'][row]
            if said.tolist() != known[:len(said)].tolist():
                raise Stopped(f'row {row}: greedy {said.tolist()}, golden {known.tolist()}')
            differences.add('greedy logits', recorded[f'{row}/greedy_logits'][0], golden['gen_logits'][row][:len(said)])
            for stage in set(stages) - {'image_features'}:
                if f'{row}/stages/{stage}' not in recorded:
                    raise Stopped(f'no stage {stage}')
                differences.add('stages', recorded[f'{row}/stages/{stage}'][0], stages[stage][row])
    return compare


def against_answers(path):
    """Compares greedy tokens with an eval.json."""
    def compare(_recorded, described, _differences):
        with open(path, encoding='utf-8') as file:
            known = {(case['image'], case['prompt']): case['tokens'] for case in json.load(file)['cases']}
        for case in described['cases']:
            (image,) = case['images']
            if case['greedy_ids'] != known[image, case['prompt']][:len(case['greedy_ids'])]:
                raise Stopped(f"{case['name']}: {case['greedy_ids']}, known {known[image, case['prompt']]}")
    return compare


def against_adapter(name):
    def compare(recorded, _described, differences):
        golden = recorder.read_safetensors(fixture('adapters', name, 'golden.safetensors'))
        differences.add('image features', recorded['0/image_features'], golden['image_features'])
        differences.add('logits', recorded['0/logits'], golden['logits'])
    return compare


def against_frames(path, names):
    def compare(recorded, _described, differences):
        golden = recorder.read_safetensors(path)
        for number, name in enumerate(names):
            features = golden[f'{name}.image_features']
            differences.add('image features', recorded[f'{number}/image_features'].reshape(features.shape), features)
            for logits in ('logits', 'hf_logits'):
                differences.add(logits, recorded[f'{number}/logits'], golden[f'{name}.{logits}'])
    return compare


class Step:
    """A recording, what it is compared with, and the checkpoint whose bundle is held against it."""

    def __init__(self, name, checkpoint, samples, options=(), compare=None, bundle=(), environment='transformers',
                 oldest=4):
        self.name, self.checkpoint, self.samples, self.options = name, checkpoint, samples, list(options)
        self.compare, self.bundle, self.environment, self.oldest = compare, list(bundle), environment, oldest


def steps_of(args):
    made = []
    out = lambda name: os.path.join(args.out, name)  # noqa: E731
    shapes = fixture('shapes', 'hf')
    for name in TINY:
        golden = recorder.read_safetensors(fixture(name, 'golden.safetensors'))
        samples = write_prepared(out(f'{name}.samples.safetensors'), golden_cases(golden))
        given = dict(samples=samples, options=['--stages'], compare=against_tiny(name))
        made += [
            Step(name, fixture(name, 'hf'), **given),
            Step(f'{name}.npz', fixture(name, 'bv_f32.npz'), environment='big_vision', **given),
        ]
        if args.frames:
            path = os.path.join(args.frames, f'{name}.safetensors')
            frames = recorder.read_safetensors(path)
            names = ['frames2', 'frames3']
            parts = ('pixel_values', 'input_ids', 'token_type_ids')
            cases = [[frames[f'{each}.{part}'] for part in parts] for each in names]
            samples = write_prepared(out(f'{name}.frames.safetensors'),
                                     [(pixels, ids[0].tolist(), types[0].tolist()) for pixels, ids, types in cases])
            given = dict(samples=samples, options=['--greedy', '4'], compare=against_frames(path, names))
            made += [
                Step(f'{name}-frames', fixture(name, 'hf'), **given),
                Step(f'{name}-frames.npz', fixture(name, 'bv_f32.npz'), environment='big_vision', **given),
            ]
    golden = recorder.read_safetensors(fixture('pg1-tiny', 'golden.safetensors'))
    samples = write_prepared(out('one.samples.safetensors'), golden_cases(golden)[:1])
    for name in ('lora', 'embedding-tied'):
        adapter = fixture('adapters', name)
        made.append(Step(f'adapter-{name}', fixture('pg1-tiny', 'hf'), samples, ['--adapter', adapter],
                         against_adapter(name), ['--adapter', adapter], oldest=5))
    evaluated = against_answers(fixture('shapes', 'eval.json'))
    adapter = fixture('shapes', 'lora-shapes')
    two = out('two.json')
    with open(two, 'w', encoding='utf-8') as file:
        names = [os.path.abspath(fixture('shapes', 'images', f'00{i}.png')) for i in range(3)]
        prompt = 'answer en how many shapes are there?'
        json.dump(dict(cases=[dict(images=names[:2], prompt=prompt), dict(images=names, prompt='caption en')]), file)
    tokenizer = ['--tokenizer', fixture('shapes', 'tokenizer.model')]
    npz = fixture('shapes', 'bv_f32.npz')
    for variant in args.synth:
        checkpoint, samples = full_size(variant, args.out)
        made.append(Step(variant, checkpoint, samples, ['--greedy', '4'], oldest=5))
    return made + [
        Step('shapes', shapes, fixture('shapes'), ['--limit', '3'], evaluated),
        Step('shapes-lora', shapes, adapter, ['--adapter', adapter, '--limit', '2'],
             against_answers(os.path.join(adapter, 'eval.json')), ['--adapter', adapter]),
        Step('shapes-two', shapes, two),
        Step('shapes.npz', npz, fixture('shapes'), [*tokenizer, '--limit', '2'], None, tokenizer, 'big_vision'),
        Step('shapes-two.npz', npz, two, tokenizer, None, tokenizer, 'big_vision'),
    ]


def run(command):
    """(exit code, stdout, stderr) of a command."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def told(command):
    code, stdout, stderr = run(command)
    if code != 0:
        raise Stopped(f'{" ".join(command)}\nexit code {code}\n{stdout[-2000:]}{stderr[-2000:]}')
    return stdout


def bundle_of(step, checkpoint, out):
    """A bundle in fp32, made once, of a checkpoint and what is put on it."""
    adapter = f'-{os.path.basename(step.bundle[1])}' if '--adapter' in step.bundle else ''
    name = os.path.relpath(checkpoint, FIXTURES if checkpoint.startswith(FIXTURES) else out).replace(os.sep, '-')
    name += adapter
    path = os.path.join(out, f'{name}-onnx-fp32')
    if not os.path.isdir(path):
        told(['node', CLI, 'convert', checkpoint, '--to', 'onnx', '--dtype', 'fp32', '--no-verify', *step.bundle,
              '--out', path])
    return path


def check(step, python, args):
    """(whether all is well, a line of what was found)."""
    name = f'{step.name}-{python.version}'
    recording = os.path.join(args.out, f'{name}.safetensors')
    engine = [] if step.environment == 'transformers' else ['--big-vision', args.big_vision]
    checkpoint = step.checkpoint
    if python.version.startswith('transformers-4.'):
        folder = os.path.relpath(checkpoint, FIXTURES).replace(os.sep, '-')
        checkpoint = as_before_5(checkpoint, os.path.join(args.out, f'{folder}-before-5'))
    told([python.path, SCRIPT, '--checkpoint', checkpoint, '--samples', step.samples, *engine, *step.options,
          *args.recorder, '--force', '--out', recording])
    with open(recording.replace('.safetensors', '.json'), encoding='utf-8') as file:
        described = json.load(file)
    differences = Differences()
    if step.compare:
        step.compare(recorder.read_safetensors(recording), described, differences)
    bundle = bundle_of(step, checkpoint, args.out)
    code, stdout, stderr = run(['node', CLI, 'verify', bundle, '--against', recording, '--json'])
    try:
        report = json.loads(stdout)
        passed = sum(each['passed'] for each in report['checks'])
        verdict = f'{passed} of {len(report["checks"])} checks passed'
    except (ValueError, KeyError):
        verdict = f'exit code {code}: {(stdout + stderr)[-1000:]}'
    well = differences.near() and code == 0
    return well, f'{"ok" if well else "FAILED"} | {name} | {len(described["cases"])} | {differences.text()} | {verdict}'


class Python:
    """An interpreter, and what it has of the original."""

    def __init__(self, path, package):
        self.path = path
        where = f"from importlib.metadata import version; print(version('{package}'))"
        self.version = f'{package}-{told([path, "-c", where]).strip()}'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--python', action='append', required=True)
    parser.add_argument('--big-vision')
    parser.add_argument('--frames', help='goldens of several pictures')
    parser.add_argument('--synth', action='append', default=[], metavar='VARIANT')
    parser.add_argument('--out', required=True)
    parser.add_argument('--recorder', action='append', default=[], help='an option of the script')
    parser.add_argument('--only', action='append')
    parser.add_argument('--list', action='store_true')
    args = parser.parse_args()
    args.out = os.path.abspath(args.out)
    args.big_vision = args.big_vision and os.path.abspath(args.big_vision)
    os.chdir(ROOT)
    os.makedirs(args.out, exist_ok=True)
    steps = [step for step in steps_of(args) if not args.only or any(text in step.name for text in args.only)]
    if args.list:
        print('\n'.join(step.name for step in steps))
        return 0
    pythons = dict(transformers=[Python(path, 'transformers') for path in args.python],
                   big_vision=[Python(args.python[0], 'jax')] if args.big_vision else [])
    good = True
    for step in steps:
        for python in pythons[step.environment]:
            if step.environment == 'transformers' and recorder.version_numbers(python.version)[0] < step.oldest:
                continue  # the adapter has names of 5.x
            try:
                well, line = check(step, python, args)
            except Stopped as stopped:
                well, line = False, f'FAILED | {step.name}-{python.version} | {stopped}'
            good &= well
            print(line, flush=True)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
