//! Folders that are not what they should be: each is accepted or rejected for a stated reason, and
//! nothing is written.

use std::collections::BTreeMap;

use burn_grow_cli::Folder;
use burn_grow_core::Expansion;
use serde_json::{Value, json};

use crate::common::{Arrays, Dir, llama, safetensors, with_header};

const INDEX: &str = "model.safetensors.index.json";

/// A folder of two shards, with the index that `change` makes of the right one.
fn sharded(change: impl FnOnce(&mut Value)) -> Dir {
    let folder = llama();
    folder.remove("model.safetensors");
    let mut shards = [Arrays::new(), Arrays::new()];
    let mut files = BTreeMap::new();
    for (name, array) in &folder.arrays {
        let shard = usize::from(name.contains("layers.1"));
        shards[shard].insert(name.clone(), array.clone());
        files.insert(name.clone(), shard_name(shard));
    }
    for (index, arrays) in shards.iter().enumerate() {
        folder.file(&shard_name(index), safetensors(arrays));
    }
    let mut index = json!({ "metadata": { "total_size": 1 }, "weight_map": files });
    change(&mut index);
    folder.file(INDEX, index.to_string());
    folder
}

fn shard_name(index: usize) -> String {
    format!("model-0000{}-of-00002.safetensors", index + 1)
}

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
