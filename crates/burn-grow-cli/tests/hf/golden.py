"""Writes the committed cases that `cargo xtask test` compares without Python.

    golden.py PROGRAM FOLDER [FAMILY ...]

For every family, one small model whose numbers follow from the names of its tensors
(`common/mod.rs` has the same rule): its configuration, its shapes, and for every expansion the
changed keys of `config.json` and a hash of all tensors. A case is written only if transformers
computes the same with the expanded model as with the original.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy
import torch
from families import FAMILIES, doubled, expand
from models import be_quiet, difference, load, outputs, randomized
from safetensors.numpy import load_file, save_file

SMALL = dict(
    vocab_size=11,
    hidden_size=16,
    n_embd=16,
    intermediate_size=12,
    ffn_dim=12,
    moe_intermediate_size=6,
    shared_expert_intermediate_size=10,
    max_position_embeddings=32,
    n_positions=32,
    image_size=8,
)
TOLERANCE = 1e-4


def fnv1a(data, state=0xCBF29CE484222325):
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return state


def values(name, shape):
    index = numpy.arange(int(numpy.prod(shape)), dtype=numpy.uint64)
    with numpy.errstate(over="ignore"):
        mixed = numpy.uint64(fnv1a(name.encode())) + index * numpy.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> numpy.uint64(31))) * numpy.uint64(0xBF58476D1CE4E5B9)
    number = (mixed >> numpy.uint64(48)).astype(numpy.float32) / numpy.float32(65536) - 0.5
    number = number / 4 + (1 if len(shape) == 1 else 0)
    return number.astype(numpy.float32).reshape(shape)


def fingerprint(folder):
    tensors = load_file(folder / "model.safetensors")
    state = 0xCBF29CE484222325
    for name in sorted(tensors):
        tensor = tensors[name]
        assert tensor.dtype == numpy.float32
        state = fnv1a(f"{name} F32 {list(tensor.shape)}\n".encode(), state)
        state = fnv1a(tensor.tobytes(), state)
    return f"{state:016x}"


def config(folder):
    return json.loads((folder / "config.json").read_text())


def case(program, family, root):
    variant = family["variants"][0]
    variant = {**variant, **{key: SMALL[key] for key in SMALL if key in variant}}
    folder = root / family["name"]
    randomized(family, variant, torch.float32).save_pretrained(folder)
    file = folder / "model.safetensors"
    shapes = {name: list(tensor.shape) for name, tensor in load_file(file).items()}
    save_file({name: values(name, shape) for name, shape in shapes.items()}, file, {"format": "pt"})
    model, wrong = load(family, folder, torch.float32)
    assert not wrong, wrong
    words = getattr(model.config, "vocab_size", None)
    wanted, _ = outputs(model, words)
    old = config(folder)
    expansions = {}
    for index, targets in enumerate(doubled(family, torch.float32)):
        out = root / f"{family['name']}-{index}"
        expand(program, folder, out, targets, family["options"])
        wide, wrong = load(family, out, torch.float32)
        assert not wrong, wrong
        found, _ = outputs(wide, words)
        off = difference(found, wanted)
        assert off < TOLERANCE, (family["name"], targets, off)
        new = config(out)
        changed = {key: new[key] for key in new if old.get(key) != new[key]}
        assert not old.keys() - new.keys()
        expansions[" ".join(targets)] = {"config": changed, "tensors": fingerprint(out)}
    del old["transformers_version"]
    return {"config": old, "shapes": shapes, "expansions": expansions}


def main():
    program, folder, names = Path(sys.argv[1]).absolute(), Path(sys.argv[2]), sys.argv[3:]
    folder.mkdir(exist_ok=True)
    be_quiet()
    for family in FAMILIES:
        if family["options"] or names and family["name"] not in names:
            continue
        with tempfile.TemporaryDirectory() as root:
            found = case(program, family, Path(root))
        text = json.dumps(found, sort_keys=True)
        (folder / f"{family['name']}.json").write_text(text + "\n")
        print(family["name"], len(text))


if __name__ == "__main__":
    main()
