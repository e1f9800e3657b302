"""Makes experts out of small random dense models with `burn-grow` and compares logits in
transformers.

    upcycle.py PROGRAM

PROGRAM is the `burn-grow` to run. Prints one JSON object for each upcycling of each model: what
`burn-grow` says of the function, the largest difference of an output relative to the largest output,
what `from_pretrained` complains about, and the keys of the configuration in which the two models
differ though both have them.

A pair of families is enrolled by one entry of ROUTES.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from families import FAMILIES
from models import be_quiet, difference, load, outputs, randomized, run

DRAWN = [
    "",
    "--granularity 3",
    "--noise 0.01",
    "--granularity 2 --noise 0.01 --seed 5",
]
ZERO = ["--router zero", "--router zero --noise 0.01", "--router zero --granularity 3"]
SOFTMAX = [
    "--weights softmax",
    "--weights softmax --router zero",
    "--weights softmax --experts 2 --granularity 3",
]
ROUTES = [
    ("llama", "mixtral", "MixtralForCausalLM", DRAWN + ZERO),
    ("mistral", "mixtral", "MixtralForCausalLM", DRAWN + ZERO),
    ("qwen3", "qwen3_moe", "Qwen3MoeForCausalLM", DRAWN + ZERO + SOFTMAX),
    ("olmo2", "flex_olmo", "FlexOlmoForCausalLM", DRAWN + ZERO + SOFTMAX),
]
# Keys of which a missing one means the default of the dense class.
DEFAULTS = {
    "llama": ["rope_parameters", "rms_norm_eps", "max_position_embeddings"],
    "mistral": ["rope_parameters", "rms_norm_eps", "sliding_window"],
    "qwen3": ["rope_parameters", "rms_norm_eps", "head_dim"],
    "olmo2": ["rope_parameters", "rms_norm_eps", "max_position_embeddings"],
}
# What two models of different classes may have differently.
OWN = {"architectures", "model_type", "transformers_version", "_name_or_path", "dtype"}


def upcycled(program, folder, out, to, options):
    options = options.split()
    if "--experts" not in options:
        options += ["--experts", "4"]
    run(program, "upcycle", folder, "--to", to, "--top-k", "2", "--out", out, *options)
    return json.loads(run(program, "verify", folder, out, "--json"))["function"]


def unlike(dense, sparse, cut):
    """The keys that both configurations have, with different values."""
    own = OWN | ({"intermediate_size"} if cut else set())
    one, other = dense.to_dict(), sparse.to_dict()
    return sorted(key for key in one.keys() & other.keys() - own if one[key] != other[key])


def forget(folder, keys):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({key: config[key] for key in config if key not in keys}))


def check(program, route, number, variant, dtype, forgotten, root):
    name, to, new_class, cases = route
    family = next(family for family in FAMILIES if family["name"] == name)
    experts = {**family, "loading": dict(experts_implementation="eager")}
    experts["model"] = getattr(transformers, new_class)
    folder = root / f"{name}-{number}-{dtype}-{len(forgotten)}"
    variant = {key: value for key, value in variant.items() if key not in forgotten}
    if "head_dim" in forgotten:
        # Otherwise the default is too large for a small model.
        variant["num_attention_heads"] = 2
    randomized(family, variant, dtype).save_pretrained(folder)
    forget(folder, forgotten)
    dense, wrong = load(family, folder, torch.float32)
    assert not wrong, wrong
    words = dense.config.vocab_size
    wanted, _ = outputs(dense, words)
    for index, options in enumerate(cases if not forgotten else cases[:1]):
        out = root / f"{folder.name}-out-{index}"
        answer = {
            "route": f"{name} to {to}",
            "model": number,
            "dtype": str(dtype).split(".")[-1],
            "options": options,
            "forgotten": forgotten,
        }
        try:
            answer["function"] = upcycled(program, folder, out, to, options)
            sparse, wrong = load(experts, out, torch.float32)
            answer["wrong"] = wrong
            answer["unlike"] = unlike(dense.config, sparse.config, "granularity" in options)
            found, _ = outputs(sparse, words)
            answer["difference"] = difference(found, wanted)
        except Exception as error:
            answer["error"] = str(error)
        print(json.dumps(answer), flush=True)


def main():
    program = Path(sys.argv[1]).absolute()
    be_quiet()
    for route in ROUTES:
        family = next(family for family in FAMILIES if family["name"] == route[0])
        with tempfile.TemporaryDirectory() as root:
            # Biases, which some variants have, have no place in a Mixtral.
            variants = [
                {key: value for key, value in variant.items() if key not in ("attention_bias", "mlp_bias")}
                for variant in family["variants"]
            ]
            for number, variant in enumerate(variants):
                for dtype in (torch.float32, torch.bfloat16):
                    check(program, route, number, variant, dtype, [], Path(root))
            check(program, route, 0, variants[0], torch.float32, DEFAULTS[route[0]], Path(root))


if __name__ == "__main__":
    main()
