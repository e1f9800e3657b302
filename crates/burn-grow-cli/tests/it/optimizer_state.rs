//! Which coordinates are new, and the state of an optimizer along with its parameters.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use burn_grow_cli::expand::{Job, Progress, Written};
use burn_grow_cli::verify::verify;
use burn_grow_cli::{Error, Folder, State};
use burn_grow_core::plan::{Blocks, CopyMap, Method};
use burn_grow_core::{Expansion, Scaling};
use serde_json::{Value, json};

use crate::common::{Array, Arrays, Crash, Dir, array, llama, read, read_file, safetensors};

/// The steps that were counted.
const STEPS: f32 = 7.0;

/// A state as that of `torch.optim.AdamW` for every parameter of a folder.
fn adamw(folder: &Dir) -> Arrays {
    let mut state = Arrays::new();
    for (name, parameter) in &folder.arrays {
        for field in ["exp_avg", "exp_avg_sq"] {
            let name = format!("{name}.{field}");
            let moment = array(&name, &parameter.shape);
            // None of them is zero.
            let values = moment.values().into_iter();
            let values: Vec<f32> = values.map(|value| value * value + 0.5).collect();
            state.insert(name, Array::f32(&parameter.shape, &values));
        }
        state.insert(format!("{name}.step"), Array::f32(&[], &[STEPS]));
    }
    state
}

fn write_state(folder: &Dir, state: &Arrays) -> PathBuf {
    let path = folder.path().with_file_name("optimizer.safetensors");
    std::fs::write(&path, safetensors(state)).expect("written");
    path
}

fn expand(
    folder: &Dir,
    expansion: &Expansion,
    state: Option<&Path>,
    resume: bool,
    progress: &mut impl Progress,
) -> Result<Written, Error> {
    let model = folder.open()?;
    let state = state.map(State::open).transpose()?;
    let growth = model.grow(expansion)?;
    let mut made = growth.new_folder(expansion);
    made.region = Some(growth.region());
    let grown = state.as_ref().map(|state| state.grown(&growth));
    made.state = grown.transpose()?;
    let job = Job {
        made: &made,
        out: &folder.out(),
        shard_bytes: 600,
        resume,
    };
    job.write(progress)
}

/// Expands the folder with `state`, and reads the state.
fn expanded(folder: &Dir, expansion: &Expansion, state: &Arrays) -> Arrays {
    let path = write_state(folder, state);
    let written = expand(folder, expansion, Some(&path), false, &mut ()).expect("expanded");
    assert_eq!(written.state.as_deref(), Some("optimizer.safetensors"));
    read_file(&folder.out().join("optimizer.safetensors"))
}

fn region(folder: &Dir) -> Value {
    let text = std::fs::read_to_string(folder.out().join("region.json")).expect("a region");
    serde_json::from_str(&text).expect("JSON")
}

/// Tells of every element of a tensor if it is new, element by element.
fn is_new(region: &Value, name: &str, shape: &[usize]) -> Vec<bool> {
    let found = &region["tensors"][name];
    if found.is_null() {
        return vec![false; shape.iter().product()];
    }
    assert_eq!(found["shape"], json!(shape), "{name}");
    let runs: Vec<Vec<(usize, usize)>> =
        serde_json::from_value(found["new"].clone()).expect("runs");
    assert_eq!(runs.len(), shape.len(), "{name}");
    let elements = 0..shape.iter().product::<usize>();
    let is_new = elements.map(|element| {
        let mut rest = element;
        let mut any = false;
        for (size, runs) in shape.iter().zip(&runs).rev() {
            let at = rest % size;
            rest /= size;
            any |= runs.iter().any(|(begin, end)| (*begin..*end).contains(&at));
        }
        any
    });
    is_new.collect()
}

/// Every axis of the small Llama, each by a map of its own.
fn every_axis() -> Expansion {
    let by = |map| {
        let method = Method::default().with_scaling(Scaling::None);
        method.with_map(map)
    };
    Expansion::by("inner", 2.0)
        .and_to("hidden", 13)
        .and_to("kv_heads", 3)
        .and_by("queries", 2.0)
        .and_to("vocab", 9)
        .with_scaling(Scaling::None)
        .on("inner", by(CopyMap::Random))
        .on("hidden", by(CopyMap::Interleaved))
}

#[test]
fn what_is_not_new_is_the_old_tensor() {
    let folder = llama();
    expand(&folder, &every_axis(), None, false, &mut ()).expect("expanded");
    let (region, found) = (region(&folder), read(&folder.out()));
    assert_eq!(found.len(), folder.arrays.len());
    for (name, old) in &folder.arrays {
        let new = &found[name];
        let is_new = is_new(&region, name, &new.shape);
        let kept = new.values().into_iter().zip(&is_new);
        let kept: Vec<f32> = kept.filter(|(_, new)| !**new).map(|it| it.0).collect();
        assert!(kept == old.values(), "{name}");
        assert!(is_new.contains(&true), "{name} grows");
    }
}

#[test]
fn a_region_names_runs_along_every_dimension_that_grows() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0).and_by("queries", 2.0);
    expand(&folder, &expansion, None, false, &mut ()).expect("expanded");
    let region = region(&folder);
    let mut expected = BTreeMap::new();
    // A key head has its two queries of two coordinates, and then their copies.
    let queries = json!([[4, 8], [12, 16]]);
    for layer in 0..2 {
        let mut add = |name: &str, shape: [usize; 2], new: Value| {
            let name = format!("model.layers.{layer}.{name}.weight");
            expected.insert(name, json!({ "shape": shape, "new": new }));
        };
        add("mlp.gate_proj", [12, 8], json!([[[6, 12]], []]));
        add("mlp.up_proj", [12, 8], json!([[[6, 12]], []]));
        add("mlp.down_proj", [8, 12], json!([[], [[6, 12]]]));
        add("self_attn.q_proj", [16, 8], json!([queries, []]));
        add("self_attn.o_proj", [8, 16], json!([[], queries]));
    }
    assert_eq!(region, json!({ "tensors": expected }));
}

#[test]
fn a_state_is_kept_in_old_coordinates_and_zero_in_new_ones() {
    let folder = llama();
    let mut state = adamw(&folder);
    // A parameter that had no gradient has no state.
    state.retain(|name, _| !name.starts_with("model.norm.weight"));
    let found = expanded(&folder, &every_axis(), &state);
    let (region, weights) = (region(&folder), read(&folder.out()));
    assert!(state.keys().eq(found.keys()));
    for (name, old) in &state {
        let (parameter, field) = name.rsplit_once('.').expect("a field");
        let new = &found[name];
        if field == "step" {
            assert!(new == old, "{name}");
            continue;
        }
        assert_eq!(new.shape, weights[parameter].shape, "{name}");
        let is_new = is_new(&region, parameter, &new.shape);
        let mut kept = old.values().into_iter();
        for (value, is_new) in new.values().into_iter().zip(is_new) {
            let expected = if is_new { Some(0.0) } else { kept.next() };
            assert_eq!(Some(value), expected, "{name}");
        }
        assert_eq!(kept.next(), None, "{name}");
    }
}

#[test]
fn layers_that_move_keep_their_state_and_new_ones_have_none() {
    let folder = llama();
    let state = adamw(&folder);
    let blocks = Blocks::identity().interleaved();
    let expansion = Expansion::by("layers", 2.0).with_blocks("layers", blocks);
    let found = expanded(&folder, &expansion, &state);
    let mut expected = Arrays::new();
    for (name, array) in &state {
        // Each stands before its copy.
        let name = name.replace("layers.1.", "layers.2.");
        expected.insert(name, array.clone());
    }
    assert!(found == expected);
    let region = region(&folder);
    for (name, array) in read(&folder.out()) {
        let new = name.contains("layers.1.") || name.contains("layers.3.");
        let is_new = is_new(&region, &name, &array.shape);
        assert!(is_new.iter().all(|it| *it == new), "{name}");
    }
}

/// The small Mixtral that `transformers` has confirmed.
fn mixtral() -> Dir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mixtral.json");
    let golden = std::fs::read_to_string(golden).expect("a golden");
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    let shapes: BTreeMap<String, Vec<usize>> =
        serde_json::from_value(golden["shapes"].clone()).expect("shapes");
    let arrays = shapes.iter();
    let arrays = arrays.map(|(name, shape)| (name.clone(), array(name, shape)));
    Dir::new(golden["config"].clone(), arrays.collect())
}

#[test]
fn buffers_of_new_layers_are_in_no_region() {
    let mut folder = llama();
    for layer in 0..2 {
        let name = format!("model.layers.{layer}.self_attn.rotary_emb.inv_freq");
        folder.arrays.insert(name, Array::f32(&[1], &[1.0]));
    }
    folder.write();
    let expansion = Expansion::by("layers", 2.0);
    expand(&folder, &expansion, None, false, &mut ()).expect("expanded");
    let tensors = region(&folder)["tensors"].clone();
    let names = tensors.as_object().expect("an object").keys();
    let buffers = names.filter(|name| name.contains("inv_freq"));
    assert_eq!(buffers.count(), 0);
    assert_eq!(tensors.as_object().expect("an object").len(), 2 * 9);
    assert!(read(&folder.out()).contains_key("model.layers.3.self_attn.rotary_emb.inv_freq"));
}

#[test]
fn experts_that_are_new_have_no_state() {
    let folder = mixtral();
    let state = adamw(&folder);
    let expansion = Expansion::by("experts", 1.5).and_by("inner", 2.0);
    let found = expanded(&folder, &expansion, &state);
    assert!(state.keys().eq(found.keys()));
    let region = region(&folder);
    for expert in 0..6 {
        let name = format!("model.layers.1.block_sparse_moe.experts.{expert}.w2.weight");
        let is_new = is_new(&region, &name, &[16, 24]);
        let expected = (0..16 * 24).map(|element| expert > 3 || element % 24 > 11);
        assert!(is_new.into_iter().eq(expected), "{name}");
    }
    let router = "model.layers.1.block_sparse_moe.gate.weight.exp_avg";
    let (old, new) = (state[router].values(), found[router].values());
    assert!(new[..64] == old && new[64..] == [0.0; 32]);
}

#[test]
fn experts_in_one_tensor_are_coordinates_of_it() {
    let mut folder = mixtral();
    // As `save_pretrained(.., save_original_format=False)` names them.
    let arrays = std::mem::take(&mut folder.arrays).into_iter();
    let arrays = arrays.filter(|(name, _)| !name.contains("experts."));
    folder.arrays = arrays
        .map(|(name, array)| (name.replace("block_sparse_moe", "mlp"), array))
        .collect();
    for layer in 0..2 {
        for (name, shape) in [("gate_up_proj", [4, 24, 16]), ("down_proj", [4, 16, 12])] {
            let name = format!("model.layers.{layer}.mlp.experts.{name}");
            folder.arrays.insert(name.clone(), array(&name, &shape));
        }
    }
    folder.write();
    let state = adamw(&folder);
    let expansion = Expansion::by("experts", 1.5).and_by("inner", 2.0);
    let found = expanded(&folder, &expansion, &state);
    assert!(state.keys().eq(found.keys()));
    let name = "model.layers.1.mlp.experts.gate_up_proj";
    // Gates come first, then what they gate.
    let runs = json!([[[4, 6]], [[12, 24], [36, 48]], []]);
    let expected = json!({ "shape": [6, 48, 16], "new": runs });
    assert_eq!(region(&folder)["tensors"][name], expected);
    let name = format!("{name}.exp_avg");
    let (old, new) = (state[&name].values(), found[&name].values());
    for (at, value) in new.into_iter().enumerate() {
        let (expert, row, column) = (at / (48 * 16), at / 16 % 48, at % 16);
        let is_old = expert < 4 && row % 24 < 12;
        let row = row / 24 * 12 + row % 12;
        let expected = is_old.then(|| old[(expert * 24 + row) * 16 + column]);
        assert_eq!(value, expected.unwrap_or_default());
    }
}

#[test]
fn a_head_that_is_untied_begins_with_the_state_of_the_embedding() {
    let mut folder = llama();
    folder.config["tie_word_embeddings"] = json!(true);
    folder.arrays.remove("lm_head.weight");
    folder.write();
    let state = adamw(&folder);
    let found = expanded(&folder, &Expansion::by("hidden", 2.0), &state);
    for field in ["exp_avg", "exp_avg_sq", "step"] {
        let [head, embedding] = ["lm_head", "model.embed_tokens"]
            .map(|tensor| &found[&format!("{tensor}.weight.{field}")]);
        assert!(head == embedding, "{field}");
    }
    let head = found["lm_head.weight.exp_avg"].values();
    let old = state["model.embed_tokens.weight.exp_avg"].values();
    for (at, value) in head.into_iter().enumerate() {
        let (row, column) = (at / 16, at % 16);
        let expected = (column < 8).then(|| old[row * 8 + column]);
        assert_eq!(value, expected.unwrap_or_default());
    }
}

#[test]
fn a_reduced_state_follows_where_it_is_not_reduced() {
    let folder = llama();
    let name = "model.layers.0.mlp.up_proj.weight";
    let state: Arrays = [
        (format!("{name}.row_var"), Array::f32(&[6, 1], &[2.0; 6])),
        (format!("{name}.col_var"), Array::f32(&[1, 8], &[3.0; 8])),
        (format!("{name}.max"), Array::f32(&[1], &[4.0])),
        // What does not grow may have any state.
        (
            "model.norm.weight.block".into(),
            Array::f32(&[3], &[5.0; 3]),
        ),
    ]
    .into();
    let found = expanded(&folder, &Expansion::by("inner", 2.0), &state);
    let mut expected = state.clone();
    let rows = [[2.0; 6], [0.0; 6]].concat();
    expected.insert(format!("{name}.row_var"), Array::f32(&[12, 1], &rows));
    assert!(found == expected);
}

#[test]
fn a_state_of_something_else_is_rejected_and_nothing_is_written() {
    let folder = llama();
    let name = "model.layers.0.mlp.up_proj.weight";
    let one = |name: &str| -> Arrays { [(name.into(), Array::f32(&[8], &[1.0; 8]))].into() };
    for (state, expected) in [
        (
            one("module.model.norm.weight.exp_avg"),
            "`module.model.norm.weight.exp_avg`: it belongs to no tensor of the folder: names are \
             those of parameters with a suffix, as in `lm_head.weight.exp_avg`, did you mean \
             `model.norm.weight`?",
        ),
        (one("step"), "`step`: it belongs to no tensor of the folder"),
        (
            one("model.norm.weight"),
            "it is a parameter, and its state would be `model.norm.weight.exp_avg`",
        ),
        (
            one(&format!("{name}.exp_avg")),
            "its shape is [8], and that of its parameter [6, 8], which becomes [12, 8]",
        ),
    ] {
        let path = write_state(&folder, &state);
        let expansion = Expansion::by("inner", 2.0);
        let error = expand(&folder, &expansion, Some(&path), false, &mut ());
        let error = error.expect_err("rejected").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("optimizer.safetensors: "), "{error}");
        assert!(!folder.out().exists());
        assert!(!folder.out().with_file_name("out.partial").exists());
    }
    for name in [
        "model.safetensors",
        "model-00001-of-00002.safetensors",
        "state.bin",
    ] {
        let path = folder.path().with_file_name(name);
        std::fs::write(&path, safetensors(&adamw(&folder))).expect("written");
        let error = State::open(&path).expect_err("rejected").to_string();
        assert!(error.contains("call it `optimizer.safetensors`"), "{error}");
    }
}

#[test]
fn an_interrupted_state_goes_on_with_the_same_state_only() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0);
    let state = adamw(&folder);
    let expected = expanded(&folder, &expansion, &state);
    let weights = read(&folder.out());
    let path = folder.path().with_file_name("optimizer.safetensors");
    let bytes = |arrays: &Arrays| arrays.values().map(|it| it.bytes.len() as u64).sum::<u64>();
    let all = bytes(&weights) + bytes(&expected);
    for crash in (1..all).step_by(all as usize / 7) {
        std::fs::remove_dir_all(folder.out()).expect("removed");
        let crashed = catch_unwind(AssertUnwindSafe(|| {
            expand(&folder, &expansion, Some(&path), false, &mut Crash(crash))
        }));
        assert!(crashed.is_err() && !folder.out().exists());
        let other = expand(&folder, &expansion, None, true, &mut ());
        let other = other.expect_err("another state").to_string();
        assert!(
            other.contains("(the state of the optimizer differs)"),
            "{other}"
        );
        expand(&folder, &expansion, Some(&path), true, &mut ()).expect("resumed");
        assert!(read(&folder.out()) == weights);
        assert!(read_file(&folder.out().join("optimizer.safetensors")) == expected);
    }
}

#[test]
fn verify_finds_what_is_wrong_with_a_state_and_a_region() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0);
    let mut wide = expanded(&folder, &expansion, &adamw(&folder));
    let state = State::open(&folder.path().with_file_name("optimizer.safetensors"));
    let state = state.expect("a state");
    let model = folder.open().expect("a model");
    let growth = model.grow(&expansion).expect("a plan");
    let verified = || {
        let out = Folder::open(&folder.out()).expect("a folder");
        let mut made = growth.new_folder(&expansion);
        made.state = Some(state.grown(&growth).expect("a state"));
        made.region = Some(growth.region());
        verify(&made, &out, &mut ()).expect("compared")
    };
    let whole = verified();
    assert_eq!((whole.equal, whole.differences.len()), (21 * 4, 0));

    let name = "model.layers.1.mlp.down_proj.weight";
    wide.get_mut(&format!("{name}.exp_avg"))
        .expect("a moment")
        .bytes[40] ^= 1;
    let file = folder.out().join("optimizer.safetensors");
    std::fs::write(file, safetensors(&wide)).expect("written");
    let mut region = region(&folder);
    region["tensors"][name]["new"] = json!([[], []]);
    std::fs::write(folder.out().join("region.json"), region.to_string()).expect("written");
    let differences = verified().differences;
    let names: Vec<&str> = differences.iter().map(|it| it.name.as_str()).collect();
    let expected = [format!("{name}.exp_avg"), format!("region.json: {name}")];
    assert_eq!(names, expected);
}

#[test]
fn a_state_and_a_region_of_an_earlier_expansion_are_not_carried_over() {
    let folder = llama();
    let state = folder.path().join("optimizer.safetensors");
    std::fs::write(&state, safetensors(&adamw(&folder))).expect("written");
    folder.file("region.json", "{\"tensors\":{}}");
    let expansion = Expansion::by("inner", 2.0);
    let written = folder.expand(&expansion).expect("expanded");
    assert_eq!(written.behind, ["optimizer.safetensors"]);
    for file in ["region.json", "optimizer.safetensors"] {
        assert!(!folder.out().join(file).exists(), "{file}");
    }
    std::fs::remove_dir_all(folder.out()).expect("removed");
    let written = expand(&folder, &expansion, Some(&state), false, &mut ()).expect("expanded");
    assert!(written.behind.is_empty(), "{:?}", written.behind);
    assert!(folder.out().join("optimizer.safetensors").exists());
}
