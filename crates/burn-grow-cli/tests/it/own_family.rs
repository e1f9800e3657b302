//! A family that a user describes, for an architecture that no file of the program knows: OPT.

use std::collections::BTreeSet;

use burn_grow_cli::expand::Job;
use burn_grow_cli::propose::propose;
use burn_grow_cli::{Family, Folder, Model};
use burn_grow_core::Expansion;
use serde_json::json;

use crate::common::{Arrays, Dir, array, config, llama, read};

fn opt() -> Dir {
    let mut arrays = Arrays::new();
    let mut add = |name: String, shape: &[usize]| {
        arrays.insert(name.clone(), array(&name, shape));
    };
    add("model.decoder.embed_tokens.weight".into(), &[7, 8]);
    add("model.decoder.embed_positions.weight".into(), &[6, 8]);
    for layer in 0..2 {
        let at = |rest: &str| format!("model.decoder.layers.{layer}.{rest}");
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            add(at(&format!("self_attn.{projection}.weight")), &[8, 8]);
            add(at(&format!("self_attn.{projection}.bias")), &[8]);
        }
        for norm in ["self_attn_layer_norm", "final_layer_norm"] {
            add(at(&format!("{norm}.weight")), &[8]);
            add(at(&format!("{norm}.bias")), &[8]);
        }
        add(at("fc1.weight"), &[6, 8]);
        add(at("fc1.bias"), &[6]);
        add(at("fc2.weight"), &[8, 6]);
        add(at("fc2.bias"), &[8]);
    }
    for rest in ["weight", "bias"] {
        add(format!("model.decoder.final_layer_norm.{rest}"), &[8]);
    }
    let config = json!({
        "model_type": "opt",
        "architectures": ["OPTForCausalLM"],
        "vocab_size": 7,
        "hidden_size": 8,
        "word_embed_proj_dim": 8,
        "ffn_dim": 6,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "max_position_embeddings": 4,
    });
    Dir::new(config, arrays)
}

#[test]
fn a_family_of_a_users_own_takes_under_forty_lines() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hf/opt.toml");
    let text = std::fs::read_to_string(file).expect("a family");
    assert!(text.lines().count() < 40);
    let folder = opt();
    let error = folder.open().expect_err("no family").to_string();
    assert!(
        error.contains("no family knows `opt`") && error.contains("--family FILE"),
        "{error}"
    );
    let model = Model::open(&folder.path(), Some(file.as_ref()), &[]).expect("a model");
    let expansion = Expansion::by("hidden", 2.0)
        .and_by("heads", 2.0)
        .and_by("inner", 2.0);
    let growth = model.grow(&expansion).expect("a plan");
    let (made, out) = (growth.new_folder(&expansion), folder.out());
    Job::new(&made, &out).write(&mut ()).expect("expanded");
    let found = read(&folder.out());
    let name = "model.decoder.layers.1.fc2.weight";
    let old = folder.arrays[name].values();
    let new = found[name].values();
    for (at, value) in new.iter().enumerate() {
        let (row, column) = (at / 12, at % 12);
        assert_eq!(*value, old[row % 8 * 6 + column % 6] / 2.0);
    }
    let config = config(&folder.out());
    let numbers = [
        "hidden_size",
        "word_embed_proj_dim",
        "ffn_dim",
        "num_attention_heads",
    ];
    assert_eq!(
        numbers.map(|key| config[key].clone()),
        [16, 16, 12, 4].map(|it| json!(it))
    );
    let names = |arrays: &Arrays| arrays.keys().cloned().collect::<BTreeSet<_>>();
    let head = BTreeSet::from(["lm_head.weight".to_owned()]);
    // Its head was tied to the embedding.
    assert_eq!(&names(&found) - &names(&folder.arrays), head);

    let alone = model
        .grow(&Expansion::by("hidden", 2.0))
        .err()
        .expect("rejected")
        .to_string();
    assert!(
        alone.contains("axis `hidden` grows together with `heads`"),
        "{alone}"
    );
    let uneven = Expansion::by("hidden", 2.0).and_by("heads", 4.0);
    let uneven = model.grow(&uneven).err().expect("rejected").to_string();
    assert!(
        uneven.contains("`head_dim` would be 4, and `hidden_size / num_attention_heads` is 2"),
        "{uneven}"
    );
}

#[test]
fn a_family_that_contradicts_itself_is_named_with_the_entry() {
    let folder = opt();
    let reason = |text: &str| {
        let file = folder.path().with_file_name("family.toml");
        std::fs::write(&file, text).expect("written");
        Model::open(&folder.path(), Some(&file), &[])
            .expect_err("rejected")
            .to_string()
    };
    let head = "name = \"opt\"\nmodel_types = [\"opt\"]\n";
    for (rest, expected) in [
        ("", "missing field `config`"),
        (
            "[config]\na = \"x x\"\n[tensors]\n",
            "a: `x x` is no product",
        ),
        (
            "[config]\na = { is = \"x\", default = \"b\" }\n[tensors]\n",
            "`b` is no key",
        ),
        (
            "[config]\n[tensors]\na = [\"fan(x)\"]\n",
            "a: `fan(x)` is not a role",
        ),
        (
            "[config]\n[tensors]\n\"a{\" = [\"-\"]\n",
            "`{` is left open",
        ),
        (
            "[config]\n[frozen]\nx = \"why\"\n[tensors]\n",
            "no tensor lies on this axis",
        ),
        ("[config]\nunknown = 1\n[tensors]\n", "TOML"),
        (
            "[config]\n[tied]\ndefault = true\nfactor = { key = \"scale\", default = 1.0 }\n\
             tensors = { a = \"c\", b = \"c\" }\n[tensors]\n",
            "scale: it is a factor of one tied tensor",
        ),
    ] {
        let text = reason(&format!("{head}{rest}"));
        assert!(text.contains(expected), "{rest}: {text}");
        assert!(text.contains("family.toml"), "{text}");
    }
    // Two entries that describe one tensor.
    let text = reason(&format!(
        "{head}[config]\n[tensors]\n\"model.decoder.{{embed_tokens,x}}.weight\" = [\"-\", \"-\"]\n\
         \"(model.)decoder.embed_tokens.weight\" = [\"-\", \"-\"]\n\
         \"model.decoder.{{embed_positions,final_layer_norm}}.{{weight,bias}}\" = [\"-\"]\n"
    ));
    assert!(
        text.contains("is also one of") || text.contains("dimensions"),
        "{text}"
    );
}

#[test]
fn a_proposal_for_an_unknown_architecture_is_a_family_to_start_from() {
    // Llama under another name: all but what sizes cannot tell is right.
    let mut folder = llama();
    let expansion = Expansion::by("inner", 2.0);
    let (_, expected) = folder.expanded(&expansion);
    folder.config["model_type"] = json!("alpaca");
    folder.write();
    let text = propose(&Folder::open(&folder.path()).expect("a folder"));
    for part in [
        "name = \"alpaca\"",
        "intermediate_size = \"inner\"",
        "num_attention_heads = \"kv_heads x queries\"",
        "\"model.layers.{layers}.mlp.gate_proj.weight\" = [\"gate(inner)\", \"fan_in(hidden)\"]",
        "\"model.embed_tokens.weight\" = [\"vocab(vocab)\", \"fan_out(hidden)\"]",
        "\"lm_head.weight\" = [\"vocab(vocab)\", \"fan_in(hidden)\"]",
        "the size 8 of `kv_heads x queries x head_dim` is also that of `hidden`",
        "`model.layers.{layers}.self_attn.q_proj.weight` is square",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let file = folder.path().with_file_name("alpaca.toml");
    std::fs::write(&file, &text).expect("written");
    let model = Model::open(&folder.path(), Some(&file), &[]).expect("a model");
    let growth = model.grow(&expansion).expect("a plan");
    let (made, out) = (growth.new_folder(&expansion), folder.out());
    std::fs::remove_dir_all(&out).expect("removed");
    Job::new(&made, &out).write(&mut ()).expect("expanded");
    assert!(read(&folder.out()) == expected);

    let text = propose(&Folder::open(&opt().path()).expect("a folder"));
    for part in [
        "# word_embed_proj_dim: nothing is known about it",
        "tensors = { \"lm_head.weight\" = \"model.decoder.embed_tokens.weight\" }",
        "\"model.decoder.layers.{layers}.fc1.bias\" = [\"fan_out(inner)\"]",
        "\"model.decoder.layers.{layers}.final_layer_norm.bias\" = [\"gain(hidden)\"]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(Family::parse("proposal", &text).is_ok(), "{text}");
}
