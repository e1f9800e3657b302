//! Every family that comes with the program, on small models whose results `transformers` has
//! confirmed: `tests/hf/golden.py` writes them.

use std::collections::BTreeMap;
use std::path::Path;

use burn_grow_cli::Model;
use burn_grow_cli::family::shipped;
use burn_grow_core::plan::Blocks;
use burn_grow_core::{Expansion, fnv1a};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::common::{Arrays, Dir, array};

/// A committed model with its expansions.
#[derive(Deserialize)]
struct Golden {
    config: Value,
    shapes: BTreeMap<String, Vec<usize>>,
    expansions: BTreeMap<String, Expected>,
}

/// What an expansion comes to.
#[derive(Deserialize)]
struct Expected {
    /// The keys that change.
    config: Map<String, Value>,
    /// A hash of all tensors.
    tensors: String,
}

fn goldens() -> Vec<(String, Golden)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).expect("a folder");
    let goldens = files.map(|file| {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let name = path.file_stem().expect("a name").to_string_lossy();
        (
            name.into_owned(),
            serde_json::from_str(&text).expect("a case"),
        )
    });
    goldens.collect()
}

fn folder(golden: &Golden) -> Dir {
    let arrays = golden.shapes.iter();
    let arrays = arrays.map(|(name, shape)| (name.clone(), array(name, shape)));
    Dir::new(golden.config.clone(), arrays.collect())
}

/// The expansion of a text such as `inner=2x layers=2x`.
fn expansion(text: &str) -> Expansion {
    text.split(' ')
        .fold(Expansion::default(), |expansion, target| {
            let (axis, factor) = target.split_once('=').expect("a target");
            let factor = factor.trim_end_matches('x').parse().expect("a factor");
            let expansion = expansion.and_by(axis, factor);
            match axis {
                "layers" => expansion.with_blocks("layers", Blocks::identity().interleaved()),
                _ => expansion,
            }
        })
}

fn fingerprint(arrays: &Arrays) -> String {
    let mut all = Vec::new();
    for (name, array) in arrays {
        all.extend(format!("{name} {} {:?}\n", array.dtype, array.shape).into_bytes());
        all.extend(&array.bytes);
    }
    format!("{:016x}", fnv1a(&all))
}

#[test]
fn every_family_gives_the_bytes_that_transformers_has_confirmed() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 20, "nineteen families, one of them twice");
    let mut compared = 0;
    for (name, golden) in goldens {
        let folder = folder(&golden);
        for (text, expected) in golden.expansions {
            let (config, found) = folder.expanded(&expansion(&text));
            assert_eq!(fingerprint(&found), expected.tensors, "{name}, {text}");
            let mut wanted = golden.config.as_object().expect("an object").clone();
            wanted.extend(expected.config);
            assert_eq!(config, Value::Object(wanted), "{name}, {text}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn every_family_is_read_and_names_its_axes_alike() {
    let families = shipped().expect("families");
    assert_eq!(families.len(), 19);
    for family in &families {
        let layouts = family.keys.iter().map(|key| key.layout.to_string());
        let layouts: Vec<_> = layouts.collect();
        for axis in ["hidden", "inner", "layers"] {
            assert!(
                layouts.iter().any(|it| it == axis),
                "{}: {axis}",
                family.name
            );
        }
        let heads = ["heads", "kv_heads"];
        assert!(
            layouts.iter().any(|it| heads.contains(&it.as_str())),
            "{}",
            family.name
        );
    }
}

/// The reason for which a family rejects an expansion.
fn reason(family: &str, expansion: &Expansion) -> String {
    let goldens = goldens();
    let golden = goldens.iter().find(|(name, _)| name == family);
    let folder = folder(&golden.expect("a golden").1);
    let model = Model::open(&folder.path(), None, &[]).expect("a model");
    let grown = model.grow(expansion);
    grown.err().expect("rejected").to_string()
}

#[test]
fn axes_that_cannot_grow_are_rejected_with_the_reason() {
    let by = |axis: &str| Expansion::by(axis, 2.0);
    let identity = by("layers").with_blocks("layers", Blocks::identity());
    for (family, expansion, expected) in [
        ("llama", by("head_dim"), "rotary positions turn pairs"),
        ("gpt2", by("hidden"), "grows together with `heads`"),
        (
            "gpt2",
            by("head_dim"),
            "the configuration has no key for it",
        ),
        (
            "olmoe",
            by("hidden"),
            "`head_dim` would be 4, and `hidden_size / num_attention_heads` is",
        ),
        (
            "deepseek_v3",
            by("experts"),
            "experts are chosen group by group",
        ),
        (
            "deepseek_v3",
            by("v_head_dim"),
            "stand side by side in one matrix",
        ),
        ("deepseek_v3", by("rope_dim"), "rotary positions"),
        ("deepseek_v3", by("layers"), "unlike"),
        ("bert", identity, "a norm stands behind every sum"),
        (
            "mixtral",
            Expansion::to("top_k", 5),
            "there are only 4 of `experts`",
        ),
    ] {
        let text = reason(family, &expansion);
        assert!(text.contains(expected), "{family}: {text}");
    }
    let uneven = by("hidden").and_to("heads", 12);
    let text = reason("bert", &uneven);
    assert!(
        text.contains("grow `hidden` and `heads` by the same factor"),
        "{text}"
    );
}

#[test]
fn inspect_knows_stacks_that_cannot_grow() {
    let goldens = goldens();
    let layers = |family: &str| {
        let golden = goldens.iter().find(|(name, _)| name == family);
        let folder = folder(&golden.expect("a golden").1);
        let found = folder.open().and_then(|model| model.inspect());
        let axes = found.expect("inspected").axes.into_iter();
        let mut layers = axes.filter(|axis| axis.name == "layers");
        layers.next().expect("layers")
    };
    assert!(layers("llama").can_grow);
    let unlike = layers("deepseek_v3");
    assert!(!unlike.can_grow);
    let reason = unlike.reason.expect("a reason");
    assert!(reason.contains("unlike"), "{reason}");
}

#[test]
fn a_choice_among_experts_that_changes_is_said() {
    let goldens = goldens();
    let golden = goldens.iter().find(|(name, _)| name == "mixtral");
    let folder = folder(&golden.expect("a golden").1);
    let model = Model::open(&folder.path(), None, &[]).expect("a model");
    let alone = model.grow(&Expansion::by("experts", 2.0)).expect("a plan");
    assert!(
        alone
            .plan
            .to_string()
            .contains("changes the function: top_k of experts")
    );
    let both = Expansion::by("experts", 2.0).and_by("top_k", 2.0);
    let both = model.grow(&both).expect("a plan");
    assert!(!both.plan.to_string().contains("changes the function"));
}
