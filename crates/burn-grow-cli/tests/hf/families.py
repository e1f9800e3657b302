"""Widens small random models of every family with `burn-grow` and compares logits in transformers.

    families.py PROGRAM [FAMILY ...]

PROGRAM is the `burn-grow` to run. Prints one JSON object for each expansion of each model: the largest
difference of an output relative to the largest output, and what `from_pretrained` complains about; for
expansions that do not keep the function, the RMS of every layer's output after and before, as ratios.

A family is enrolled by one entry of FAMILIES.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers

TOKENS = 23
TRANSFORMER = dict(
    vocab_size=53,
    hidden_size=32,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    initializer_range=0.3,
    max_position_embeddings=64,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)
# Heads of `hidden / heads` coordinates: they grow along with `hidden`, or the other way round.
WIDTHS = ["inner", "hidden", "kv_heads", "queries"]


def family(name, config, model, axes, *variants, common=TRANSFORMER, **more):
    """A family: its classes, what grows (axes that grow together in one text), and its models."""
    return dict(
        name=name,
        config=getattr(transformers, config),
        model=getattr(transformers, model),
        axes=axes,
        variants=[{**common, **more, **variant} for variant in variants or [{}]],
    )


def grouped(**more):
    """Two shapes: grouped and tied, and with a key head for every query head."""
    return [
        dict(num_key_value_heads=2, tie_word_embeddings=True, **more),
        dict(num_key_value_heads=4, tie_word_embeddings=False, hidden_size=48, **more),
    ]


FAMILIES = [
    family(
        "llama",
        "LlamaConfig",
        "LlamaForCausalLM",
        WIDTHS,
        *grouped(),
        dict(attention_bias=True, mlp_bias=True, head_dim=12),
    ),
]


def inputs(model):
    torch.manual_seed(7)
    config = model.config
    if hasattr(config, "image_size"):
        size = config.image_size
        return {"pixel_values": torch.randn(2, config.num_channels, size, size)}
    return {"input_ids": torch.randint(0, config.vocab_size, (2, TOKENS))}


def outputs(model):
    """All outputs of the model, and those of its layers."""
    model = model.eval()
    with torch.no_grad():
        found = model(**inputs(model), output_hidden_states=True)
    return found.logits.float().reshape(-1), found.hidden_states


def randomized(family, variant, dtype):
    torch.manual_seed(1)
    model = family["model"](family["config"](**variant))
    with torch.no_grad():
        for _, param in model.named_parameters():
            # Norm gains and biases, which begin as ones and zeros.
            if param.dim() == 1:
                param.add_(torch.randn_like(param) * 0.2)
    return model.to(dtype)


def load(family, folder, dtype):
    model, loading = family["model"].from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    return model, sorted(str(key) for keys in loading.values() for key in keys)


def expand(program, folder, out, targets, more=()):
    command = [program, "expand", folder, "--out", out, "--json", *more]
    for target in targets:
        command += ["--axis", target]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr}")
    done = subprocess.run(
        [str(program), "verify", str(folder), str(out)], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"verify: {done.stdout}{done.stderr}")


def rms(states):
    return [state.float().pow(2).mean().sqrt().item() for state in states]


def check(program, family, number, variant, dtype, root):
    folder = root / f"{family['name']}-{number}-{str(dtype).split('.')[-1]}"
    model = randomized(family, variant, dtype)
    model.save_pretrained(folder)
    model, wrong = load(family, folder, dtype)
    assert not wrong, wrong
    wanted, states = outputs(model)
    every = [axis for axes in family["axes"] for axis in axes.split()]
    doubled = [[f"{axis}=2x" for axis in axes.split()] for axes in family["axes"]]
    cases = [("2x", targets) for targets in doubled]
    if dtype != torch.float32:
        cases = []
    cases.append(("2x", [f"{axis}=2x" for axis in every]))
    if dtype == torch.float32:
        half = [axis for axes in family["axes"] for axis in axes.split() if " " not in axes]
        cases += [("1.5x", [f"{axis}=1.5x"]) for axis in half if axis in ("inner", "hidden")]
    for index, (kind, targets) in enumerate(cases):
        out = root / f"{folder.name}-out-{index}"
        answer = {
            "family": family["name"],
            "model": number,
            "dtype": str(dtype).split(".")[-1],
            "grown": " ".join(targets),
            "kind": kind,
        }
        try:
            expand(program, folder, out, targets)
            wide, wrong = load(family, out, dtype)
            found, wide_states = outputs(wide)
            answer["wrong"] = wrong
            answer["finite"] = bool(found.isfinite().all())
            answer["difference"] = ((found - wanted).abs().max() / wanted.abs().max()).item()
            answer["rms"] = [new / old for new, old in zip(rms(wide_states), rms(states))]
        except Exception as error:
            answer["error"] = str(error)
        print(json.dumps(answer), flush=True)


def main():
    program, names = Path(sys.argv[1]).absolute(), sys.argv[2:]
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for family in FAMILIES:
        if names and family["name"] not in names:
            continue
        with tempfile.TemporaryDirectory() as root:
            for number, variant in enumerate(family["variants"]):
                for dtype in (torch.float32, torch.bfloat16):
                    check(program, family, number, variant, dtype, Path(root))


if __name__ == "__main__":
    main()
