"""Loads exported models into transformers and compares their logits with those of the originals.

    check.py REQUESTS

REQUESTS is a JSON list of objects: `folder`, the exported model, and `expected`, the safetensors file
with `tokens` and `activation logits`. Prints one JSON object for each: the largest difference relative
to the largest logit, the names and shapes that `from_pretrained` complains about, and the configuration.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM


def check(request):
    model, loading = AutoModelForCausalLM.from_pretrained(
        request["folder"],
        dtype=torch.float32,
        attn_implementation="eager",
        experts_implementation="eager",
        output_loading_info=True,
    )
    expected = load_file(request["expected"])
    with torch.no_grad():
        logits = model(input_ids=expected["tokens"].long(), use_cache=False).logits
    logits, wanted = logits.reshape(-1), expected["activation logits"].reshape(-1)
    difference = (logits - wanted).abs().max() / wanted.abs().max()
    config = model.config
    return {
        "difference": difference.item(),
        "wrong": sorted(str(key) for keys in loading.values() for key in keys),
        "hidden": config.hidden_size,
        "inner": getattr(config, "moe_intermediate_size", config.intermediate_size),
        "tied": config.tie_word_embeddings,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    for request in json.loads(Path(sys.argv[1]).read_text()):
        print(json.dumps(check(request)))
