//! Experts out of a feed-forward, against formulas, element by element.

mod configuration;
mod experts;
mod numbers;
mod rejected;

use burn_grow_cli::Error;
use burn_grow_cli::expand::{Job, Written};
use burn_grow_cli::upcycle::{Kept, Upcycling};
use serde_json::{Value, json};

use crate::common::{Array, Arrays, Dir, array, config, llama, read};

fn write(folder: &Dir, upcycling: &Upcycling) -> Result<(Written, Kept), Error> {
    let model = folder.open()?;
    let upcycled = model.upcycle(upcycling)?;
    let written = Job::new(&upcycled.folder, &folder.out()).write(&mut ())?;
    Ok((written, upcycled.kept.clone()))
}

fn upcycled(folder: &Dir, upcycling: &Upcycling) -> (Value, Arrays, Kept) {
    if folder.out().exists() {
        std::fs::remove_dir_all(folder.out()).expect("removed");
    }
    let (_, kept) = write(folder, upcycling).expect("upcycled");
    (config(&folder.out()), read(&folder.out()), kept)
}

/// A small Qwen 3: as the small Llama, with norms in its heads.
fn qwen3() -> Dir {
    let mut folder = llama();
    folder.config["model_type"] = json!("qwen3");
    folder.config["architectures"] = json!(["Qwen3ForCausalLM"]);
    folder.config["head_dim"] = json!(2);
    for layer in 0..2 {
        for head in ["q", "k"] {
            let name = format!("model.layers.{layer}.self_attn.{head}_norm.weight");
            let norm = array(&name, &[2]);
            folder.arrays.insert(name, norm);
        }
    }
    folder.write();
    folder
}

/// A small OLMo 2: as the small Llama, with norms elsewhere.
fn olmo2() -> Dir {
    let mut folder = llama();
    folder.config["model_type"] = json!("olmo2");
    folder.config["architectures"] = json!(["Olmo2ForCausalLM"]);
    for layer in 0..2 {
        let block = format!("model.layers.{layer}");
        let norm = folder
            .arrays
            .remove(&format!("{block}.input_layernorm.weight"));
        let name = format!("{block}.post_feedforward_layernorm.weight");
        folder.arrays.insert(name, norm.expect("a norm"));
        for (head, width) in [("q", 8), ("k", 4)] {
            let name = format!("{block}.self_attn.{head}_norm.weight");
            let norm = array(&name, &[width]);
            folder.arrays.insert(name, norm);
        }
    }
    folder.write();
    folder
}

const MATRICES: [(&str, &str); 3] = [("gate_proj", "w1"), ("up_proj", "w3"), ("down_proj", "w2")];

/// The names of a matrix of the feed-forward and of an expert.
fn names(to: &str, layer: usize, expert: usize, matrix: usize) -> (String, String) {
    let (dense, short) = MATRICES[matrix];
    let new = match to {
        "mixtral" => format!("block_sparse_moe.experts.{expert}.{short}"),
        _ => format!("mlp.experts.{expert}.{dense}"),
    };
    (
        format!("model.layers.{layer}.mlp.{dense}.weight"),
        format!("model.layers.{layer}.{new}.weight"),
    )
}

fn router(to: &str, layer: usize) -> String {
    let block = if to == "mixtral" {
        "block_sparse_moe"
    } else {
        "mlp"
    };
    format!("model.layers.{layer}.{block}.gate.weight")
}

/// Part `part` of `parts` of a matrix of the feed-forward, times `factor`: rows of those that make
/// the inner width, columns of the one that reads it.
fn part(old: &Array, matrix: usize, part: usize, parts: usize, factor: f32) -> Array {
    let (rows, columns) = (old.shape[0], old.shape[1]);
    let (new_rows, new_columns) = match matrix {
        2 => (rows, columns / parts),
        _ => (rows / parts, columns),
    };
    let values = old.values();
    let mut new = Vec::new();
    for row in 0..new_rows {
        for column in 0..new_columns {
            let (row, column) = match matrix {
                2 => (row, part * new_columns + column),
                _ => (part * new_rows + row, column),
            };
            new.push(values[row * columns + column] * factor);
        }
    }
    Array::f32(&[new_rows, new_columns], &new)
}

/// What there should be, but for routers.
fn expected(folder: &Dir, upcycling: &Upcycling, factor: f32) -> Arrays {
    let mut arrays = folder.arrays.clone();
    let parts = upcycling.granularity;
    for layer in 0..2 {
        for (matrix, (dense, _)) in MATRICES.iter().enumerate() {
            let dense = format!("model.layers.{layer}.mlp.{dense}.weight");
            let old = arrays.remove(&dense).expect("a matrix");
            for expert in 0..upcycling.experts * parts {
                let factor = if matrix == 2 { factor } else { 1.0 };
                let new = part(&old, matrix, expert % parts, parts, factor);
                arrays.insert(names(&upcycling.to, layer, expert, matrix).1, new);
            }
        }
    }
    arrays
}

/// Takes the routers out.
fn routers(arrays: &mut Arrays, to: &str) -> Vec<Array> {
    let layers = (0..2).map(|layer| arrays.remove(&router(to, layer)).expect("a router"));
    layers.collect()
}
