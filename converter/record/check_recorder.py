"""Checks of record_paligemma.py that need numpy and neither torch nor jax: check_recorder.sh runs them.

A toy stands for the model: its mask is right, or has one of the faults that versions of transformers have had.
"""
import contextlib
import io
import json
import os
import tempfile
import types
import unittest
from argparse import Namespace

import numpy as np

import record_paligemma as recorder

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'fixtures')


class Toy:
    """A model of one layer of attention, with logits [T, V] of the text."""

    name, np, image_token_id, vocabulary = 'toy', np, 63, 64
    versions, adapters, files = {'toy': '1'}, [], [dict(path='model.safetensors', bytes=1, sha256='ab' * 32)]

    def __init__(self, mask='prefix', end=(), noise=0.0, last=None):
        random = np.random.default_rng(7)
        self.table, self.head = random.normal(size=(64, 16)), random.normal(size=(16, 64))
        self.mask, self.end_token_ids, self.noise, self.last = mask, set(end), noise, last
        self.passes = 0

    def forward(self, pixels, ids, prefix, stages=False):
        self.passes += 1
        positions = np.arange(len(ids))
        x = self.table[ids] * (1 + 0.01 * positions[:, None])
        features = np.float32(pixels.reshape(len(pixels), 2, -1).mean(-1, keepdims=True) * np.ones(16))
        images = ids.count(self.image_token_id)
        x[:images] += features.reshape(-1, 16)[:images]
        seen = positions[None] <= positions[:, None]
        if self.mask != 'causal':
            seen = seen | (positions[None] < prefix)
        if self.mask == 'both':
            seen = seen | True
        if self.mask == 'prefix sees suffix':
            seen = seen | (positions[:, None] < prefix)
        scores = np.where(seen, x @ x.T / 16, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        x = x + weights / weights.sum(-1, keepdims=True) @ x
        logits = np.float32(x @ self.head + self.noise * self.passes)[images:]
        if self.last is not None:
            logits[-1, 3] = self.last
        inside = {'lm.0': np.float32(x[None]), 'vit.0': features} if stages else {}
        return logits, features, inside

    def take_image_id(self, token):
        assert token == self.image_token_id

    def check_adapter(self, case):
        pass

    def flags(self):
        return dict(dtype='float32', attention='eager', tf32=False, matmul_precision='highest', deterministic=True,
                    cache=False)

    def described(self):
        return dict(device='cpu')


CASE = dict(pixel_values=np.ones((1, 3, 4, 4), np.float32), prompt=[63, 63, 2, 10, 11, 4], answer=[20, 21, 22])


class Cases(unittest.TestCase):
    def refused(self, name, call, *args):
        with self.assertRaises(recorder.Refused) as caught:
            call(*args)
        self.assertEqual(caught.exception.name, name)
        return str(caught.exception)

    def folder(self, files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, text in files.items():
            path = os.path.join(folder.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text if isinstance(text, str) else json.dumps(text))
        return folder.name


class Samples(Cases):
    def test_cases_with_different_prompts_come_first(self):
        cases = [dict(image='a.png', prompt=p, text=t) for p, t in (('x', '1'), ('x', '2'), ('y', ''))]
        folder = self.folder({'eval.json': {'cases': cases}, 'images/a.png': ''})
        samples = recorder.read_samples(folder, 8)
        self.assertEqual([(s['prompt'], s['answer']) for s in samples], [('x', '1'), ('y', None), ('x', '2')])
        self.assertEqual(samples[0]['images'], [os.path.join(folder, 'images', 'a.png')])
        self.assertEqual(len(recorder.read_samples(os.path.join(folder, 'eval.json'), 2)), 2)

    def test_several_pictures(self):
        folder = self.folder({'cases.json': {'cases': [dict(images=['a.png', 'b.png'], prompt='x')]},
                              'a.png': '', 'b.png': ''})
        sample, = recorder.read_samples(folder, 8)
        self.assertEqual([os.path.basename(path) for path in sample['images']], ['a.png', 'b.png'])

    def test_pictures_with_prompts(self):
        folder = self.folder({'a.png': '', 'b.JPG': '', 'a.txt': 'one\n', 'b.txt': 'two'})
        self.assertEqual([s['prompt'] for s in recorder.read_samples(folder, 8)], ['one', 'two'])
        folder = self.folder({'a.png': '', 'b.png': '', 'prompts.txt': 'one\n\ntwo\nthree\n'})
        self.assertEqual([(os.path.basename(s['images'][0]), s['prompt']) for s in recorder.read_samples(folder, 8)],
                         [('a.png', 'one'), ('b.png', 'two'), ('a.png', 'three')])

    def test_files_that_cannot_be_read(self):
        folder = self.folder({'a.png': 'no picture'})
        self.refused('bad_samples', recorder.read_safetensors, os.path.join(folder, 'none.safetensors'))
        self.refused('no_adapter', recorder.adapter_files, os.path.join(folder, 'none'))

        def load(path):
            raise TypeError(f'{path}: of a kind that nobody knows')
        self.assertIn('a.png', self.refused('no_picture', recorder.loaded_picture, load, 'a.png'))
        self.assertEqual(recorder.loaded_picture(str.upper, 'a'), 'A')

    def test_what_is_no_sample(self):
        for cases in ([], [dict(image='a.png')], [dict(images=[], prompt='x')], ['x'],
                      [dict(images='a.png', prompt='x')], [dict(images=5, prompt='x')],
                      [dict(image='a.png', prompt='x', text=5)]):
            self.refused('bad_samples', recorder.read_samples, self.folder({'eval.json': {'cases': cases}}), 8)
        self.refused('no_picture', recorder.read_samples,
                     self.folder({'eval.json': {'cases': [dict(image='a.png', prompt='x')]}}), 8)
        self.refused('bad_samples', recorder.read_samples, self.folder({'a.png': ''}), 8)
        self.refused('bad_samples', recorder.read_samples, self.folder({}), 8)

    def test_the_fixtures(self):
        samples = recorder.read_samples(os.path.join(FIXTURES, 'shapes'), 3)
        self.assertEqual(len({s['prompt'] for s in samples}), 3)
        self.assertTrue(all(s['answer'] for s in samples))
        beside = recorder.read_samples(os.path.join(FIXTURES, 'shapes', 'lora-shapes'), 1)
        self.assertTrue(os.path.isfile(beside[0]['images'][0]))

    def test_prepared(self):
        folder = self.folder({})
        path = os.path.join(folder, 'x.safetensors')
        tensors = {'0/pixel_values': CASE['pixel_values'], '0/input_ids': np.asarray([[63, 63, 2, 9]]),
                   '0/token_type_ids': np.asarray([[0, 0, 0, 1]])}
        recorder.write_safetensors(path, tensors, {})
        sample, = recorder.prepared_samples(path, 8)
        self.assertEqual((sample['case']['prompt'], sample['case']['answer']), ([63, 63, 2], [9]))
        recorder.write_safetensors(path, {**tensors, '0/token_type_ids': np.asarray([[0, 1, 0, 1]])}, {})
        self.refused('bad_samples', recorder.prepared_samples, path, 8)
        with open(path, 'rb') as file:
            data = file.read()
        with open(path, 'wb') as file:
            file.write(data[:-1])
        self.refused('bad_samples', recorder.prepared_samples, path, 8)


class Files(Cases):
    def test_what_transformers_reads(self):
        folder = os.path.join(FIXTURES, 'pg1-tiny', 'hf')
        self.assertEqual(recorder.checkpoint_files(folder), sorted(
            name for name in os.listdir(folder) if name != 'generation_config.json'))
        self.refused('missing_shards', recorder.checkpoint_files, self.folder(
            {'model.safetensors.index.json': {'weight_map': {'a': 'model-00001-of-00001.safetensors'}}}))
        self.refused('no_safetensors', recorder.checkpoint_files, self.folder({'pytorch_model.bin': ''}))

    def test_one_file_comes_before_an_index(self):
        folder = self.folder({'model.safetensors': 'abc', 'model.safetensors.index.json': '{}', 'config.json': '{}'})
        self.assertEqual(recorder.file_entries(folder, recorder.checkpoint_files(folder))[1], dict(
            path='model.safetensors', bytes=3,
            sha256='ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'))

    def test_adapters(self):
        folder = os.path.join(FIXTURES, 'adapters', 'lora')
        self.assertEqual(recorder.adapter_files(folder), ['adapter_config.json', 'adapter_model.safetensors'])
        self.refused('no_adapter', recorder.adapter_files, self.folder({'adapter_config.json': '{}'}))
        with self.assertRaises(recorder.Refused):
            recorder.arguments(['--checkpoint', 'a', '--samples', 'b', '--out', 'c.safetensors',
                                '--adapter', 'x', '--adapter', 'y'])


class Refusals(Cases):
    def test_versions(self):
        for version in ('4.41.0', '4.41.2', '4.9.1'):
            self.assertIn(version, self.refused('transformers_too_old', recorder.require_transformers, version))
        for version in ('4.42.0', '4.49.0.dev0', '5.17.0'):
            recorder.require_transformers(version)

    def test_configs(self):
        recorder.check_config({'model_type': 'paligemma'})
        self.refused('not_paligemma', recorder.check_config, {'model_type': 'colpali'})
        self.refused('quantized_checkpoint', recorder.check_config,
                     {'model_type': 'paligemma', 'quantization_config': {'bits': 4}})

    def test_the_name_of_the_dtype(self):
        self.assertEqual(recorder.dtype_argument(types.SimpleNamespace(dtype=None)), 'dtype')
        self.assertEqual(recorder.dtype_argument(types.SimpleNamespace(torch_dtype=None)), 'torch_dtype')

    def test_attention(self):
        def model(*names):
            configs = [types.SimpleNamespace(config=types.SimpleNamespace(_attn_implementation=name)) for name in names]
            return types.SimpleNamespace(modules=lambda: [*configs, types.SimpleNamespace()])
        recorder.require_eager(recorder.attention_names(model('eager', 'eager', None)))
        for other in ('sdpa', 'flash_attention_2'):
            said = self.refused('attention_not_eager', recorder.require_eager,
                                recorder.attention_names(model('eager', other)))
            self.assertIn(other, said)
        self.refused('attention_not_eager', recorder.require_eager, recorder.attention_names(model()))

    def test_weights(self):
        recorder.require_loaded([], [])
        self.assertIn('lm.x', self.refused('weights_not_loaded', recorder.require_loaded, ['lm.x'], []))
        for head in ('model.vision_tower.head.probe', 'vision_tower.vision_model.head.mlp.fc1.bias'):
            recorder.require_loaded([head], [])
        self.assertIn('lm_head', self.refused('weights_not_loaded', recorder.require_loaded, ['lm_head.weight'], []))
        self.refused('weights_not_loaded', recorder.require_loaded, set(), {('lm.x', (2,), (3,))})
        recorder.require_float32({'torch.float32'})
        self.refused('not_float32', recorder.require_float32, {'torch.float32', 'torch.bfloat16'})

    def test_products(self):
        fine = 1 + 2.0 ** -16
        recorder.require_exact(fine, fine, fine)
        self.refused('not_float32_products', recorder.require_exact, 1.0, fine, fine)
        self.refused('not_float32_products', recorder.require_exact, fine, 1.0, fine)

    def test_places_of_modules(self):
        model = types.SimpleNamespace(named_modules=lambda: [
            (f'model.language_model.layers.{i}', i) for i in (10, 2)] + [('model.multi_modal_projector', 'p')])
        self.assertEqual(recorder.by_number(model, recorder.TEXT + r'layers\.(\d+)$'), [2, 10])
        self.assertEqual(recorder.only(model, r'(?:^|\.)multi_modal_projector$'), 'p')
        self.refused('unknown_layout', recorder.only, model, recorder.TEXT + 'norm$')

    def test_ids(self):
        recorder.check_ids(Toy(), CASE)
        for name, change in (('image_tokens', dict(prompt=[63, 2, 63, 4])), ('image_tokens', dict(prompt=[2, 4])),
                             ('token_beyond_vocabulary', dict(answer=[64])), ('empty_prompt', dict(prompt=[63, 63]))):
            self.refused(name, recorder.check_ids, Toy(), {**CASE, **change})


class BigVisionTree(unittest.TestCase):
    def test_sizes_are_read_off_the_parameters(self):
        for fixture in ('pg1-tiny', 'pg2-tiny'):
            with open(os.path.join(FIXTURES, fixture, 'case.json'), encoding='utf-8') as file:
                case = json.load(file)['case']
            npz = np.load(os.path.join(FIXTURES, fixture, 'bv_f32.npz'))
            flat = recorder.unscanned({path.removeprefix('params/'): npz[path] for path in npz.files})
            llm, img, second, vocabulary = recorder.sizes_of({path: value.shape for path, value in flat.items()})
            self.assertEqual(llm, {key: case['llm'][key] for key in llm})
            self.assertEqual({**img, 'patch_size': 0}, {**case['img'], 'patch_size': 0})
            self.assertEqual((second, vocabulary), (fixture == 'pg2-tiny', case['llm']['vocab_size']))
            self.assertEqual(dict(recorder.flatten(recorder.unflatten(flat))).keys(), flat.keys())

    def test_layers_of_their_own_stay(self):
        own = ('llm/layers/0/a', 'img/Transformer/encoderblock_0/a')
        flat = {path: np.ones(2) for path in (*own, 'llm/layers/b')}
        self.assertEqual(sorted(recorder.unscanned(flat)), [
            'img/Transformer/encoderblock_0/a', 'llm/layers/0/a', 'llm/layers/0/b', 'llm/layers/1/b'])


class Recording(Cases):
    def step_by_step(self, engine, steps):
        said = []
        while len(said) < steps and not (said and said[-1] in engine.end_token_ids):
            logits = engine.forward(CASE['pixel_values'], CASE['prompt'] + said, len(CASE['prompt']))[0][-1].copy()
            logits[63] = -np.inf
            said.append(int(logits.argmax()))
        return said

    def test_greedy_is_step_by_step_whatever_the_draft(self):
        expected = self.step_by_step(Toy(), 6)
        for draft in ([], expected, expected[:3], [*expected[:2], 7, 7, 7], [7] * 9):
            said, logits = recorder.greedy(Toy(), CASE, draft, 6)
            self.assertEqual(said, expected)
            self.assertEqual(logits.shape, (6, 64))
        engine = Toy()
        recorder.greedy(engine, CASE, expected, 6)
        self.assertEqual(engine.passes, 1)

    def test_greedy_ends_behind_the_end_token(self):
        expected = self.step_by_step(Toy(), 6)
        end = expected[2]
        first = expected.index(end) + 1
        for draft in ([], expected):
            said, logits = recorder.greedy(Toy(end=[end]), CASE, draft, 6)
            self.assertEqual((said, len(logits)), (expected[:first], first))

    def test_masks(self):
        recorder.check_mask(Toy(), CASE)
        recorder.check_mask(Toy(), {**CASE, 'answer': []})
        for mask, name in (('causal', 'prefix_is_causal'), ('both', 'suffix_sees_ahead'),
                           ('prefix sees suffix', 'prefix_sees_suffix')):
            self.refused(name, recorder.check_mask, Toy(mask), CASE)

    def run_main(self, engine, *options):
        folder = self.folder({})
        prepared, out = (os.path.join(folder, f'{name}.safetensors') for name in ('prepared', 'golden'))
        ids = CASE['prompt'] + CASE['answer']
        recorder.write_safetensors(prepared, {
            '0/pixel_values': CASE['pixel_values'], '0/input_ids': np.asarray([ids]),
            '0/token_type_ids': np.asarray([[0] * 6 + [1] * 3]), '1/pixel_values': CASE['pixel_values'],
            '1/input_ids': np.asarray([CASE['prompt']]), '1/token_type_ids': np.asarray([[0] * 6])}, {})
        made, recorder.engine_for = recorder.engine_for, lambda _args: engine
        self.addCleanup(setattr, recorder, 'engine_for', made)
        with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):
            code = recorder.main(['--checkpoint', 'x', '--samples', prepared, '--out', out, *options])
        return code, err.getvalue(), out

    def test_a_whole_recording(self):
        code, err, out = self.run_main(Toy(), '--stages', '--greedy', '4')
        self.assertEqual(code, 0, err)
        tensors = recorder.read_safetensors(out)
        with open(out.replace('.safetensors', '.json'), encoding='utf-8') as file:
            described = json.load(file)
        self.assertEqual(described['tensors']['sha256'], recorder.sha256_of(out))
        self.assertEqual(tensors['0/logits'].shape, (1, 7, 64))
        self.assertEqual(tensors['0/greedy_logits'].shape, (1, 4, 64))
        # without an answer, what is read behind the prompt is the greedy one
        self.assertEqual(described['cases'][1]['input_ids'], CASE['prompt'] + described['cases'][1]['greedy_ids'])
        self.assertTrue(np.array_equal(tensors['1/logits'][:, -5:-1], tensors['1/greedy_logits']))
        self.assertEqual(sorted(name for name in tensors if name.startswith('0/stages')),
                         ['0/stages/lm.0', '0/stages/vit.0'])
        again = recorder.prepared_samples(out, 8)
        self.assertEqual([sample['case']['answer'] for sample in again],
                         [CASE['answer'], described['cases'][1]['greedy_ids']])

    def test_what_is_there_stays(self):
        folder = self.folder({'golden.json': '{}'})
        out = os.path.join(folder, 'golden.safetensors')
        given = dict(checkpoint='x', adapter=None, samples='y', processor=None, tokenizer=None, out=out)
        self.assertIn('golden.json', self.refused('exists', recorder.check_out, Namespace(**given, force=False)))
        recorder.check_out(Namespace(**given, force=True))
        for name in ('checkpoint', 'samples', 'adapter'):
            read = Namespace(**{**given, name: folder}, force=True)
            self.assertIn('golden.json', self.refused('overwrites_input', recorder.check_out, read))
        read = Namespace(**{**given, 'samples': os.path.join(folder, 'golden.json')}, force=True)
        self.refused('overwrites_input', recorder.check_out, read)
        nowhere = Namespace(**{**given, 'out': os.path.join(folder, 'none', 'a.safetensors')}, force=False)
        self.refused('not_writable', recorder.check_out, nowhere)

    def test_nothing_is_written_of_what_is_refused(self):
        for engine, name in ((Toy(noise=1e-9), 'not_repeatable'), (Toy(last=np.nan), 'not_finite'),
                             (Toy('both'), 'suffix_sees_ahead')):
            with np.errstate(invalid='ignore'):
                code, err, out = self.run_main(engine)
            self.assertEqual((code, os.path.exists(out)), (3, False))
            self.assertIn(f'refused: {name}', err)


if __name__ == '__main__':
    unittest.main()
