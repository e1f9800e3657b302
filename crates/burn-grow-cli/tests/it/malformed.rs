//! Folders that are not what they should be: each is accepted or rejected for a stated reason, and
//! nothing is written.

use std::fs::OpenOptions;

use burn_grow_cli::Folder;
use burn_grow_cli::expand::Job;
use burn_grow_core::Expansion;
use serde_json::{Value, json};

use crate::common::{
    Arrays, Dir, INDEX, array, llama, read, safetensors, shard_name, sharded, with_header,
};

/// The reason for which a folder is rejected, by every command.
fn reason(folder: &Dir) -> String {
    let error = folder
        .expand(&Expansion::by("inner", 2.0))
        .expect_err("rejected");
    let root = folder.out().parent().expect("a folder").to_owned();
    let left = std::fs::read_dir(root).expect("a folder").count();
    assert_eq!(left, 1, "nothing is left but the folder itself");
    let opened = folder.open().expect_err("rejected").to_string();
    assert_eq!(opened, error.to_string());
    opened
}

#[test]
fn an_index_without_metadata_or_with_a_wrong_one_is_accepted() {
    let expected = llama().expanded(&Expansion::by("inner", 2.0)).1;
    for metadata in [
        json!({}),
        json!({ "total_size": "many" }),
        Value::Null,
        json!([1]),
    ] {
        let folder = sharded(|index| index["metadata"] = metadata);
        assert!(folder.expanded(&Expansion::by("inner", 2.0)).1 == expected);
    }
    let folder = sharded(|index| {
        index.as_object_mut().expect("an object").remove("metadata");
    });
    assert!(folder.expanded(&Expansion::by("inner", 2.0)).1 == expected);
}

#[test]
fn an_index_of_the_single_file_is_accepted() {
    let folder = llama();
    let names = folder
        .arrays
        .keys()
        .map(|name| (name.clone(), json!("model.safetensors")));
    let index = json!({ "weight_map": Value::Object(names.collect()) });
    folder.file(INDEX, index.to_string());
    assert!(folder.open().is_ok());
}

#[test]
fn a_single_file_beside_a_stale_index_is_rejected() {
    let folder = sharded(|_| {});
    folder.file("model.safetensors", safetensors(&folder.arrays));
    let reason = reason(&folder);
    assert!(
        reason.contains("are two checkpoints: remove the outdated one"),
        "{reason}"
    );
}

#[test]
fn shards_that_are_missing_or_hold_something_else_are_rejected() {
    let folder = sharded(|_| {});
    folder.remove(&shard_name(1));
    let text = reason(&folder);
    assert!(text.contains("which is not there: the download"), "{text}");

    let name = "model.layers.1.mlp.up_proj.weight";
    let folder = sharded(|index| index["weight_map"][name] = json!(shard_name(0)));
    let text = reason(&folder);
    let expected = format!("says that tensor `{name}` is in");
    assert!(
        text.contains(&expected) && text.contains("00001-of"),
        "{text}"
    );

    let folder = sharded(|index| index["weight_map"]["model.more"] = json!(shard_name(0)));
    let text = reason(&folder);
    assert!(
        text.contains("says that tensor `model.more` is in"),
        "{text}"
    );

    // The same tensor in both.
    let folder = sharded(|_| {});
    folder.file(&shard_name(1), safetensors(&folder.arrays));
    let text = reason(&folder);
    assert!(text.contains("only one of them can be right"), "{text}");
}

#[test]
fn a_shard_that_is_a_folder_is_rejected() {
    let folder = sharded(|_| {});
    folder.remove(&shard_name(1));
    std::fs::create_dir(folder.path().join(shard_name(1))).expect("a folder");
    let text = reason(&folder);
    assert!(
        text.contains(&shard_name(1)) && text.contains("it is no file"),
        "{text}"
    );
}

#[test]
fn what_the_index_does_not_name_stays_behind() {
    // A shard of another checkpoint, and one that was saved under another name.
    let folder = sharded(|_| {});
    let expected = folder.expanded(&Expansion::by("inner", 2.0)).1;
    let other = Arrays::from([("model.norm.weight".into(), array("other", &[8]))]);
    folder.file("model-00003-of-00003.safetensors", safetensors(&other));
    folder.file("consolidated.safetensors", safetensors(&folder.arrays));
    std::fs::remove_dir_all(folder.out()).expect("removed");
    let written = folder
        .expand(&Expansion::by("inner", 2.0))
        .expect("expanded");
    let behind = [
        "consolidated.safetensors",
        "model-00003-of-00003.safetensors",
    ];
    assert_eq!(written.behind, behind);
    for name in behind {
        assert!(!folder.out().join(name).exists(), "{name}");
    }
    assert!(read(&folder.out()) == expected);

    // A tensor that the index forgot is in a shard that it names.
    let name = "model.norm.weight";
    let folder = sharded(|index| {
        let map = index["weight_map"].as_object_mut().expect("a map");
        assert!(map.remove(name).is_some());
    });
    assert!(folder.expanded(&Expansion::by("inner", 2.0)).1 == expected);
}

#[test]
fn layers_that_are_not_numbered_in_turn_are_rejected() {
    for number in ["2", "1000000000000", "18446744073709551615"] {
        for config in [json!(2), Value::Null] {
            let mut folder = llama();
            let arrays = std::mem::take(&mut folder.arrays).into_iter();
            let renamed = arrays.map(|(name, array)| {
                let name = name.replace("layers.1.", &format!("layers.{number}."));
                (name, array)
            });
            folder.arrays = renamed.collect();
            folder.config["num_hidden_layers"] = config;
            folder.write();
            let text = reason(&folder);
            let expected = "tensor `model.layers.1` is missing";
            assert!(text.contains(expected), "{text}");
        }
    }
}

#[test]
fn sizes_that_no_model_has_are_rejected() {
    let mut folder = llama();
    for array in folder.arrays.values_mut() {
        // No hidden coordinates: no bytes, whatever the other sizes are.
        array.bytes.clear();
        for size in &mut array.shape {
            *size = match *size {
                8 => 0,
                7 => 1 << 60,
                other => other,
            };
        }
    }
    for (key, size) in [("hidden_size", 0), ("vocab_size", 1_u64 << 60)] {
        folder.config[key] = json!(size);
    }
    folder.write();
    for axis in ["vocab", "inner", "hidden"] {
        let error = folder.expand(&Expansion::by(axis, 2.0));
        let text = error.expect_err("rejected").to_string();
        assert!(text.contains("has 0 coordinates"), "{text}");
        assert!(!folder.out().exists());
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_leaves_nothing_that_looks_whole() {
    for length in [0, 2000] {
        let folder = llama();
        let model = folder.open().expect("a model");
        let path = folder.path().join("model.safetensors");
        let weights = OpenOptions::new().write(true).open(path).expect("a file");
        weights.set_len(length).expect("cut off");
        let expansion = Expansion::by("inner", 2.0);
        let growth = model.grow(&expansion).expect("a plan");
        let (made, out) = (growth.new_folder(&expansion), folder.out());
        let text = Job::new(&made, &out)
            .write(&mut ())
            .expect_err("cut off")
            .to_string();
        assert!(text.contains("model.safetensors"), "{text}");
        assert!(!folder.out().exists());
        let partial = folder.out().with_file_name("out.partial");
        assert!(partial.exists() && Folder::open(&partial).is_err());
    }
}

#[test]
fn paths_that_leave_the_folder_are_rejected() {
    let outside = tempfile::tempdir().expect("a folder");
    let secret = outside.path().join("model.safetensors");
    std::fs::write(&secret, safetensors(&llama().arrays)).expect("written");
    let secret = secret.to_str().expect("a path");
    for path in [
        secret,
        "../model.safetensors",
        "a/../../model.safetensors",
        "sub/model.safetensors",
        "..",
        ".",
        "",
        "a\\b.safetensors",
    ] {
        let name = "model.norm.weight";
        let folder = sharded(|index| index["weight_map"][name] = json!(path));
        let text = reason(&folder);
        assert!(
            text.contains("is not the name of a file beside it"),
            "{path}: {text}"
        );
    }
}

#[test]
fn an_index_that_is_none_is_rejected() {
    for index in [
        json!({}),
        json!([]),
        json!({ "weight_map": [] }),
        json!({ "weight_map": 1 }),
    ] {
        let folder = sharded(|text| *text = index);
        let text = reason(&folder);
        assert!(text.contains("index.json"), "{text}");
    }
    let folder = sharded(|index| index["weight_map"] = json!({}));
    let text = reason(&folder);
    assert!(text.contains("its files hold no tensor"), "{text}");
    let folder = sharded(|_| {});
    folder.file(INDEX, "{\"weight_map\": {");
    assert!(reason(&folder).contains("index.json"));
}

#[test]
fn a_folder_without_weights_says_what_is_there_instead() {
    let folder = llama();
    folder.remove("model.safetensors");
    let text = reason(&folder);
    assert!(text.ends_with("and no index of its shards"), "{text}");
    folder.file("pytorch_model.bin", "pickled");
    let text = reason(&folder);
    assert!(
        text.contains("but pytorch_model.bin: load it with `transformers`"),
        "{text}"
    );
    folder.file("adapter_model.safetensors", "adapter");
    let text = reason(&folder);
    assert!(text.contains("merge the adapter into its model"), "{text}");
    folder.remove("config.json");
    assert!(reason(&folder).contains("config.json"));
    folder.file("config.json", "[1]");
    assert!(reason(&folder).contains("config.json"));
}

#[test]
fn headers_that_lie_are_rejected() {
    let entry = |dtype: &str, shape: Value, begin: u64, end: u64| {
        let offsets = [begin, end];
        json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets })
    };
    let good = entry("F32", json!([2]), 0, 8);
    let header = |entries: Value| entries.to_string();
    let one = |entry: &Value| header(json!({ "a": entry }));
    let two = |entry: Value| header(json!({ "a": good.clone(), "b": entry }));
    let data = [0; 8];
    let long = [0; 64];
    let huge = u64::MAX.to_le_bytes();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "is cut off in its header"),
        (vec![1, 2, 3], "is cut off in its header"),
        (huge.to_vec(), "this is no safetensors file"),
        (
            90_000_000_u64.to_le_bytes().to_vec(),
            "is cut off in its header",
        ),
        (with_header("", &[]), "its header: EOF"),
        (with_header("[]", &[]), "its header: "),
        (with_header("{\"a\": 1}", &[]), "tensor `a`: "),
        (
            with_header("{\"__metadata__\": 1}", &[]),
            "`__metadata__` is no object",
        ),
        (
            with_header(&one(&good), &data[..7]),
            "is cut off in tensor `a`",
        ),
        (with_header(&one(&good), &long), "its tensors end at"),
        (
            with_header(&one(&entry("F33", json!([2]), 0, 8)), &data),
            "its type `F33` is unknown",
        ),
        (
            with_header(&one(&entry("F32", json!([3]), 0, 8)), &data),
            "shape [3] of F32 does not have the 8 bytes",
        ),
        (
            with_header(&one(&entry("F32", json!([-2]), 0, 8)), &data),
            "tensor `a`: invalid value",
        ),
        (
            with_header(&one(&entry("F32", json!([u64::MAX, 4]), 0, 8)), &data),
            "does not have the 8 bytes",
        ),
        (
            with_header(&one(&entry("F32", json!([2]), 8, 0)), &data),
            "it ends at 0, before it begins at 8",
        ),
        (
            with_header(
                &one(&entry("F32", json!([2]), u64::MAX - 8, u64::MAX)),
                &data,
            ),
            "beyond any file",
        ),
        (
            with_header(&two(entry("F32", json!([2]), 4, 12)), &long),
            "it overlaps the one before it",
        ),
        (
            with_header(&two(entry("F32", json!([2]), 0, 8)), &data),
            "it overlaps the one before it",
        ),
        (
            with_header(&two(entry("F32", json!([2]), 12, 20)), &long),
            "there is a hole before it",
        ),
        (
            with_header(&one(&entry("F4", json!([3]), 0, 2)), &data),
            "does not have the 2 bytes",
        ),
    ];
    for (bytes, expected) in cases {
        let folder = llama();
        folder.file("model.safetensors", bytes);
        let text = reason(&folder);
        assert!(text.contains(expected), "expected `{expected}`: {text}");
        assert!(text.contains("model.safetensors"), "{text}");
    }
}

#[test]
fn tensors_that_are_missing_or_of_another_shape_are_rejected() {
    let mut folder = llama();
    let name = "model.layers.1.mlp.up_proj.weight";
    folder.arrays.remove(name);
    folder.write();
    let text = reason(&folder);
    assert!(
        text.contains(&format!("tensor `{name}` is missing")),
        "{text}"
    );
    assert!(text.contains("model.layers.0.mlp.up_proj.weight"), "{text}");

    let mut folder = llama();
    folder.arrays.insert(
        "model.extra.weight".into(),
        folder.arrays["lm_head.weight"].clone(),
    );
    folder.write();
    let text = reason(&folder);
    assert!(
        text.contains("`model.extra.weight` of shape [7, 8]"),
        "{text}"
    );
    assert!(text.contains("--keep model.extra.weight"), "{text}");

    let mut folder = llama();
    let flat = folder.arrays.get_mut("model.norm.weight").expect("a norm");
    flat.shape = vec![2, 4];
    folder.write();
    let text = reason(&folder);
    assert!(
        text.contains("has 2 dimensions, family `llama` says 1"),
        "{text}"
    );

    let mut folder = llama();
    let narrow = folder.arrays.get_mut(name).expect("a matrix");
    narrow.shape = vec![4, 12];
    folder.write();
    let error = folder
        .expand(&Expansion::by("inner", 2.0))
        .expect_err("rejected")
        .to_string();
    assert!(error.contains("axis `") && error.contains(name), "{error}");

    let mut folder = llama();
    let integers = folder.arrays.get_mut(name).expect("a matrix");
    integers.dtype = "I32".into();
    folder.write();
    let text = reason(&folder);
    assert!(
        text.contains("it is I32, and only floats can grow"),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn a_cache_of_links_is_a_folder() {
    let folder = llama();
    let blobs = tempfile::tempdir().expect("a folder");
    for name in ["model.safetensors", "config.json"] {
        let (here, blob) = (folder.path().join(name), blobs.path().join(name));
        std::fs::rename(&here, &blob).expect("moved");
        std::os::unix::fs::symlink(&blob, &here).expect("a link");
    }
    assert!(folder.expanded(&Expansion::by("inner", 2.0)).1.len() == folder.arrays.len());
    // A link to a folder may lead to itself.
    std::os::unix::fs::symlink(folder.path(), folder.path().join("circle")).expect("a link");
    std::fs::remove_dir_all(folder.out()).expect("removed");
    folder
        .expand(&Expansion::by("inner", 2.0))
        .expect("expanded");
    assert!(!folder.out().join("circle").exists());
}

#[test]
fn damaged_bytes_never_make_a_panic() {
    let folder = llama();
    let whole = std::fs::read(folder.path().join("model.safetensors")).expect("a file");
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight")) as usize;
    // Every seventh byte of the header, by a few values each.
    for at in (0..header).step_by(7) {
        for change in [0x01, 0x20, 0x80, 0xFF] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            folder.file("model.safetensors", &damaged);
            if let Ok(folder) = Folder::open(&folder.path()) {
                assert!(!folder.tensors().is_empty());
            }
        }
    }
}
