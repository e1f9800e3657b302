//! The program: what it prints, and its exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::common::{Dir, config, llama, read, read_file, safetensors};

fn run(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_burn-grow"));
    program.args(arguments).output().expect("the program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn json_of(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn path(path: &Path) -> String {
    path.to_str().expect("a path").into()
}

fn places(folder: &Dir) -> (String, String) {
    (path(&folder.path()), path(&folder.out()))
}

#[test]
fn inspect_names_the_axes_and_what_can_grow() {
    let folder = llama();
    let (model, _) = places(&folder);
    let found = json_of(&["inspect", &model, "--json"]);
    assert_eq!(found["family"], json!("llama"));
    assert_eq!(
        found["parameters"],
        json!(7 * 8 * 2 + 8 + 2 * (16 + 64 * 2 + 64 + 144))
    );
    assert_eq!(found["dtypes"], json!({ "F32": 21 }));
    let axes = found["axes"].as_array().expect("a list");
    let axes: Vec<_> = axes
        .iter()
        .map(|axis| {
            (
                axis["name"].as_str().expect("a name"),
                axis["width"].clone(),
                axis["can_grow"].clone(),
            )
        })
        .collect();
    let axis = |name, width: usize, can_grow: bool| (name, json!(width), json!(can_grow));
    assert_eq!(
        axes,
        [
            axis("head_dim", 2, false),
            axis("hidden", 8, true),
            axis("inner", 6, true),
            axis("kv_heads", 2, true),
            axis("layers", 2, true),
            axis("queries", 2, true),
            axis("vocab", 7, true),
        ]
    );
    let printed = text(&run(&["inspect", &model]).stdout);
    assert!(printed.contains("family: llama (llama)"), "{printed}");
    assert!(printed.contains("head_dim  2      no: rotary"), "{printed}");
}

#[test]
fn a_plan_says_what_expand_does_and_verify_finds() {
    let folder = llama();
    let (model, out) = places(&folder);
    let axes = ["--axis", "inner=2x", "--axis", "hidden=12"];
    let planned = json_of(&[&["plan", &model, "--json"], &axes[..]].concat());
    assert!(!folder.out().exists());
    assert_eq!(planned["config"][0]["key"], json!("head_dim"));
    assert_eq!(
        planned["config"][1],
        json!({ "key": "hidden_size", "old": 8, "new": 12 })
    );
    let printed = text(&run(&[&["plan", &model], &axes[..]].concat()).stdout);
    for part in [
        "axis hidden: 8 -> 12, copy-copy, factor",
        "training FLOPs per token (6N)",
        "bytes: ",
        "config.json: intermediate_size: 6 -> 12",
    ] {
        assert!(printed.contains(part), "{printed}");
    }

    let written = json_of(&[&["expand", &model, "--out", &out, "--json"], &axes[..]].concat());
    assert_eq!(written["plan"], planned);
    let found = read(&folder.out());
    let tensors = planned["tensors"].as_array().expect("a list");
    assert_eq!(tensors.len(), found.len());
    for tensor in tensors {
        let array = &found[tensor["name"].as_str().expect("a name")];
        assert_eq!(json!(array.shape), tensor["shape"]);
    }
    let bytes: usize = found.values().map(|array| array.bytes.len()).sum();
    assert_eq!(json!(bytes), planned["bytes"]["new"]);
    let verified = json_of(&["verify", &model, &out, "--json"]);
    assert_eq!(verified, json!({ "equal": 21, "differences": [] }));
    // By the widths alone, and by the options.
    std::fs::remove_file(folder.out().join("burn-grow.json")).expect("removed");
    assert!(run(&["verify", &model, &out]).status.success());
    assert!(
        run(&[&["verify", &model, &out], &axes[..]].concat())
            .status
            .success()
    );
    let other = run(&["verify", &model, &out, "--axis", "inner=2x"]);
    assert_eq!(other.status.code(), Some(3));
}

#[test]
fn verify_finds_one_wrong_bit() {
    let folder = llama();
    let (model, out) = places(&folder);
    json_of(&[
        "expand", &model, "--out", &out, "--axis", "inner=2x", "--json",
    ]);
    let mut arrays = read(&folder.out());
    let name = "model.layers.1.mlp.down_proj.weight";
    arrays.get_mut(name).expect("a matrix").bytes[40] ^= 1;
    arrays.remove("lm_head.weight");
    let file = folder.out().join("model.safetensors");
    std::fs::write(&file, safetensors(&arrays)).expect("written");
    let mut wrong = config(&folder.out());
    wrong["hidden_size"] = json!(9);
    std::fs::write(folder.out().join("config.json"), wrong.to_string()).expect("written");
    let output = run(&["verify", &model, &out]);
    assert_eq!(output.status.code(), Some(3));
    let printed = text(&output.stdout);
    for part in [
        "model.layers.1.mlp.down_proj.weight: 1 of its numbers differ, the first is number 10",
        "lm_head.weight: is missing",
        "config.json: hidden_size: is 9, expected 8",
        "19 tensors are what the expansion makes them",
    ] {
        assert!(printed.contains(part), "{printed}");
    }
}

#[test]
fn a_plan_file_goes_out_and_in() {
    let folder = llama();
    let (model, out) = places(&folder);
    let file = path(&folder.path().with_file_name("plan.json"));
    let options = ["--axis", "inner=2x", "--init", "random-zero", "--seed", "5"];
    let saved = run(&[&["plan", &model, "--save", &file], &options[..]].concat());
    assert!(saved.status.success(), "{}", text(&saved.stderr));
    json_of(&["expand", &model, "--out", &out, "--plan", &file, "--json"]);
    let by_file = read(&folder.out());
    let found = std::fs::read_to_string(folder.out().join("burn-grow.json")).expect("a record");
    assert_eq!(found, std::fs::read_to_string(&file).expect("a plan"));
    std::fs::remove_dir_all(folder.out()).expect("removed");
    json_of(&[&["expand", &model, "--out", &out, "--json"], &options[..]].concat());
    assert!(read(&folder.out()) == by_file);
    let both = run(&["plan", &model, "--plan", &file, "--axis", "inner=2x"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_state_and_a_region_are_asked_for_and_said() {
    let folder = llama();
    let (model, out) = places(&folder);
    let state = folder.path().with_file_name("adamw.safetensors");
    let name = "model.layers.0.mlp.down_proj.weight";
    let moment = format!("{name}.exp_avg");
    let arrays = [(moment.clone(), folder.arrays[name].clone())].into();
    std::fs::write(&state, safetensors(&arrays)).expect("written");
    let state = path(&state);
    let options = ["--axis", "inner=2x", "--region", "--state", &state];
    let written = json_of(&[&["expand", &model, "--out", &out, "--json"], &options[..]].concat());
    assert_eq!(written["written"]["state"], json!("adamw.safetensors"));
    assert_eq!(written["written"]["region"], json!("region.json"));
    let wide = read_file(&folder.out().join("adamw.safetensors"));
    assert_eq!(wide[&moment].shape, [8, 12]);
    let verified = json_of(&["verify", &model, &out, "--state", &state, "--json"]);
    assert_eq!(verified, json!({ "equal": 22, "differences": [] }));

    std::fs::remove_dir_all(folder.out()).expect("removed");
    let printed = run(&[&["expand", &model, "--out", &out], &options[..]].concat());
    let printed = text(&printed.stdout);
    for part in [
        "the state of the optimizer: adamw.safetensors",
        "which coordinates are new: region.json",
    ] {
        assert!(printed.contains(part), "{printed}");
    }
    // Neither is made unasked.
    std::fs::remove_dir_all(folder.out()).expect("removed");
    let axes = ["--axis", "inner=2x"];
    let written = json_of(&[&["expand", &model, "--out", &out, "--json"], &axes[..]].concat());
    assert_eq!(written["written"]["state"], Value::Null);
    assert!(!folder.out().join("region.json").exists());
    let missing = run(&["verify", &model, &out, "--state", &state]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("out/adamw.safetensors"));
}

#[test]
fn verify_says_what_an_upcycled_folder_keeps() {
    let folder = llama();
    let (model, out) = places(&folder);
    let upcycle = |options: &[&str]| {
        if folder.out().exists() {
            std::fs::remove_dir_all(folder.out()).expect("removed");
        }
        let command = [
            "upcycle",
            &model,
            "--to",
            "mixtral",
            "--out",
            &out,
            "--experts",
            "4",
            "--top-k",
            "2",
        ];
        json_of(&[&command, options, &["--json"]].concat())
    };
    for (options, function, printed) in [
        (
            &["--seed", "3"][..],
            "exactly",
            "function: kept, up to rounding",
        ),
        (
            &["--noise", "0.5", "--granularity", "2"],
            "up_to_noise",
            "function: kept up to the noise of 0.5",
        ),
        (
            &["--router", "zero", "--granularity", "2"],
            "not",
            "function: not kept: the scores of a zero router are equal",
        ),
    ] {
        let written = upcycle(options);
        assert_eq!(written["plan"]["kept"]["function"], json!(function));
        let found = read(&folder.out());
        assert_eq!(written["written"]["tensors"], json!(found.len()));
        let verified = json_of(&["verify", &model, &out, "--json"]);
        assert_eq!(verified["equal"], json!(found.len()));
        assert_eq!(verified["differences"], json!([]));
        assert_eq!(verified["function"], json!(function));
        let text = text(&run(&["verify", &model, &out]).stdout);
        assert!(text.contains(printed), "{text}");
    }
    // By the widths alone, where neither a seed nor noise has to be known.
    for options in [&["--granularity", "3"][..], &["--router", "zero"]] {
        upcycle(options);
        std::fs::remove_file(folder.out().join("burn-grow.json")).expect("removed");
        assert_eq!(
            json_of(&["verify", &model, &out, "--json"])["function"],
            json!("exactly")
        );
    }
    // Another expansion is asked for than that of the folder, and a wrong bit is found.
    upcycle(&["--seed", "3"]);
    let other = run(&["verify", &model, &out, "--axis", "inner=2x"]);
    assert_eq!(other.status.code(), Some(3));
    let state = run(&["verify", &model, &out, "--state", "adamw.safetensors"]);
    assert_eq!(state.status.code(), Some(1));
    assert!(text(&state.stderr).contains("experts have no state"));
    let mut arrays = read(&folder.out());
    let name = "model.layers.1.block_sparse_moe.gate.weight";
    arrays.get_mut(name).expect("a router").bytes[7] ^= 1;
    let file = folder.out().join("model.safetensors");
    std::fs::write(&file, safetensors(&arrays)).expect("written");
    let output = run(&["verify", &model, &out]);
    assert_eq!(output.status.code(), Some(3));
    let printed = text(&output.stdout);
    let wrong = format!("{name}: 1 of its numbers differ, the first is number 1");
    assert!(printed.contains(&wrong), "{printed}");
    assert!(!printed.contains("function:"), "{printed}");
}

#[test]
fn a_dry_run_says_what_upcycling_makes_and_writes_nothing() {
    let folder = llama();
    let (model, out) = places(&folder);
    let options = ["--experts", "4", "--top-k", "2", "--granularity", "3"];
    let command = [&["upcycle", &model, "--to", "mixtral"], &options[..]].concat();
    let around = || {
        let entries = std::fs::read_dir(folder.path().parent().expect("a folder"));
        let entries = entries.expect("entries").map(|it| it.expect("one").path());
        entries.collect::<Vec<_>>()
    };
    let before = around();
    let planned = json_of(&[&command[..], &["--dry-run", "--json"]].concat());
    let printed = text(&run(&[&command[..], &["--dry-run"]].concat()).stdout);
    assert_eq!(around(), before);
    // Two matrices make the inner width and one reads it, in two layers; a token takes 6 of 12.
    let dense = 7 * 8 * 2 + 8 + 2 * (16 + 64 * 2 + 64 + 144);
    let routers = 2 * 12 * 8;
    let (new, active) = (dense + 2 * 3 * 144 + routers, dense + 2 * 144 + routers);
    assert_eq!(planned["parameters"], json!({ "old": dense, "new": new }));
    assert_eq!(
        planned["training_flops_per_token"],
        json!({ "old": 6.0 * f64::from(dense), "new": 6.0 * f64::from(active) })
    );
    for part in [
        "family: llama -> mixtral",
        "experts: 12 in a layer, of which a token takes 6",
        "width: 2 in an expert, 6 in the feed-forward",
        &format!("parameters: {dense} -> {new}"),
        &format!("active parameters: {dense} -> {active}"),
        "training FLOPs per token (6N): ",
        "bytes: ",
        "config.json: intermediate_size: 6 -> 2",
        "function: kept, up to rounding",
    ] {
        assert!(printed.contains(part), "{printed}");
    }

    let written = json_of(&[&command[..], &["--out", &out, "--json"]].concat());
    assert_eq!(written["plan"], planned);
    let found = json_of(&["inspect", &out, "--json"]);
    assert_eq!(found["family"], planned["to"]);
    for cost in ["parameters", "active_parameters", "bytes"] {
        assert_eq!(
            planned[cost]["new"].as_f64(),
            found[cost].as_f64(),
            "{cost}"
        );
    }
    let axes = found["axes"].as_array().expect("a list");
    let width = |name: &str| {
        let mut axes = axes.iter();
        let axis = axes.find(|axis| axis["name"] == json!(name));
        axis.expect("an axis")["width"].clone()
    };
    assert_eq!(width("experts"), planned["experts"]);
    assert_eq!(width("top_k"), planned["top_k"]);
    assert_eq!(width("inner"), planned["inner"]["new"]);
    let arrays = read(&folder.out());
    let tensors = planned["tensors"].as_array().expect("a list");
    assert_eq!(tensors.len(), arrays.len());
    for tensor in tensors {
        let array = &arrays[tensor["name"].as_str().expect("a name")];
        assert_eq!(json!(array.shape), tensor["shape"]);
        assert_eq!(json!(array.dtype), tensor["dtype"]);
    }
    let config = config(&folder.out());
    for change in planned["config"].as_array().expect("a list") {
        let key = change["key"].as_str().expect("a key");
        assert_eq!(config[key], change["new"], "{key}");
    }
    let verified = json_of(&["verify", &model, &out, "--json"]);
    assert_eq!(verified["function"], planned["kept"]["function"]);
    for wrong in [
        &[][..],
        &["--dry-run", "--out", &out],
        &["--dry-run", "--resume"],
    ] {
        assert_eq!(run(&[&command[..], wrong].concat()).status.code(), Some(2));
    }
}

#[test]
fn inspect_proposes_a_family_for_what_nobody_knows() {
    let mut folder = llama();
    folder.config["model_type"] = json!("alpaca");
    folder.write();
    let (model, _) = places(&folder);
    let output = run(&["inspect", &model]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no family knows `alpaca`"));
    assert!(text(&output.stdout).starts_with("# Proposed from the names and sizes"));
    let found = run(&["inspect", &model, "--json"]);
    let found: Value = serde_json::from_slice(&found.stdout).expect("JSON");
    assert_eq!(found["family"], Value::Null);
}

#[test]
fn wrong_usage_and_failure_have_codes_of_their_own() {
    let folder = llama();
    let (model, out) = places(&folder);
    assert_eq!(run(&["expand", &model]).status.code(), Some(2));
    assert_eq!(
        run(&["plan", &model, "--axis", "inner"]).status.code(),
        Some(2)
    );
    let none = run(&["plan", &model]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("name an axis, as in `--axis inner=2x`"));
    let unknown = run(&["expand", &model, "--out", &out, "--axis", "hiden=2x"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("unknown axis `hiden`"));
    assert_eq!(run(&["inspect", "/nowhere"]).status.code(), Some(1));
    let help = text(&run(&["expand", "--help"]).stdout);
    assert!(
        help.contains("`.partial`") && help.contains("--shard-size"),
        "{help}"
    );
    let completions = text(&run(&["completions", "bash"]).stdout);
    assert!(completions.contains("burn-grow") && completions.contains("inspect"));
}
