"""What the scripts here share: models of transformers, made, loaded and compared."""

import subprocess

import torch
import transformers

TOKENS = 23


def be_quiet():
    """On one core, with nothing printed but what a script says."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def run(*command):
    """What a program prints; an exception if it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def inputs(model, words):
    torch.manual_seed(7)
    config = model.config
    if hasattr(config, "image_size"):
        size = config.image_size
        return {"pixel_values": torch.randn(2, config.num_channels, size, size)}
    return {"input_ids": torch.randint(0, words, (2, TOKENS))}


def outputs(model, words):
    """All outputs of the model, and those of its layers."""
    model = model.eval()
    with torch.no_grad():
        found = model(**inputs(model, words), output_hidden_states=True)
    logits = found.logits.float()
    return logits.reshape(-1, logits.shape[-1]), found.hidden_states


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
        folder,
        dtype=dtype,
        attn_implementation="eager",
        output_loading_info=True,
        **family["loading"],
    )
    return model, sorted(str(key) for keys in loading.values() for key in keys)


def difference(found, wanted):
    """The largest difference of an output, relative to the largest output.

    New words are random, and the scores of the old ones do not depend on them.
    """
    found = found[:, : wanted.shape[1]]
    return ((found - wanted).abs().max() / wanted.abs().max()).item()
