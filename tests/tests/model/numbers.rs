//! Numbers that follow a width and are no parameters: those that nobody declares are found, and
//! those that are declared follow, or stay on purpose.
#![allow(clippy::unwrap_used)]

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use burn_grow::verify::{Quantity, RoleMismatch, two_width_check};
use burn_grow::{Blueprint, Expansion, GrowError, Growable, Plan};
use burn_grow_tests::data::seeded;
use burn_grow_tests::growth::grown;

fn device() -> Device {
    Device::flex()
}

fn linear(d_in: usize, d_out: usize) -> Linear {
    LinearConfig::new(d_in, d_out).init(&device())
}

fn inverse_root(width: usize) -> f64 {
    1.0 / (width as f64).sqrt()
}

#[derive(Clone, Debug, PartialEq)]
struct Config {
    hidden_size: usize,
    n_heads: usize,
    seed: u64,
    rope: Rope,
}

#[derive(Clone, Debug, PartialEq)]
struct Rope {
    dim: usize,
    theta: f32,
}

impl Config {
    fn new(hidden: usize, kv_heads: usize, queries: usize) -> Self {
        Self {
            hidden_size: hidden,
            n_heads: kv_heads * queries,
            seed: hidden as u64 + 1,
            rope: Rope {
                dim: 2 * hidden,
                theta: 1e4,
            },
        }
    }
}

/// Nothing of it is declared.
#[derive(Module, Growable, Debug)]
struct Forgetful {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(fan_in = "hidden", fan_out("kv_heads", "queries"))]
    query: Linear,
    #[grow(fan_in = "hidden", fan_out = "kv_heads")]
    key: Linear,
    hidden: usize,
    scale: f64,
    pair: (usize, usize),
    sizes: Vec<usize>,
    mask: Tensor<2>,
    loss: CrossEntropyLoss,
    dropout: f64,
    #[module(skip)]
    config: Config,
    #[module(skip)]
    cached: Option<Tensor<1, Int>>,
    #[module(skip)]
    note: &'static str,
}

impl Forgetful {
    fn of(hidden: usize, kv_heads: usize, queries: usize) -> Self {
        let weights = vec![1.0; hidden];
        Self {
            embed: linear(3, hidden),
            query: linear(hidden, kv_heads * queries),
            key: linear(hidden, kv_heads),
            hidden,
            scale: inverse_root(hidden),
            pair: (7, kv_heads),
            sizes: vec![1; queries],
            mask: Tensor::ones([5, hidden], &device()),
            loss: CrossEntropyLossConfig::new()
                .with_weights(Some(weights))
                .init(&device()),
            dropout: 0.1,
            config: Config::new(hidden, kv_heads, queries),
            cached: Some(Tensor::zeros([hidden], &device())),
            note: "hidden 8",
        }
    }
}

#[test]
fn every_number_that_follows_a_width_and_is_not_declared_is_found() {
    let error = two_width_check(&Forgetful::of(8, 2, 3), &Forgetful::of(16, 3, 5)).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    `hidden` changes 8 -> 16 as axis hidden does and is not declared: `#[grow(width = "hidden")]`
    `scale` changes 0.3536 -> 0.25 and is not declared: `recomputed` or `kept` says of which width it is a function, `skip` that it may differ
    `pair.1` changes 2 -> 3 as axis kv_heads does and is not declared: `#[grow(width = "kv_heads")]`
    dimension 1 of `mask` changes 8 -> 16 as axis hidden does and is not declared: it cannot grow; make it from the widths in `forward`
    dimension 0 of `loss.weights` changes 8 -> 16 as axis hidden does and is not declared: it cannot grow; make it from the widths in `forward`
    `config.hidden_size` changes 8 -> 16 as axis hidden does and is not declared: `#[grow(widths(hidden_size = "hidden"))]`
    `config.n_heads` changes 6 -> 15 as axis kv_heads x queries does and is not declared: `#[grow(widths(n_heads("kv_heads", "queries")))]`
    `config.seed` changes 9 -> 17 and is not declared: `#[grow(widths(seed = _))]` if it may differ
    `config.rope.dim` changes 16 -> 32 as axis hidden x 2 does and is not declared: `#[grow(widths(rope.dim("hidden", unit = 2)))]`
    dimension 0 of `cached` changes 8 -> 16 as axis hidden does and is not declared: it cannot grow; make it from the widths in `forward`
    the length of `sizes` changes 3 -> 5 as axis queries does and is not declared: it cannot grow; make it from the widths in `forward`
    "#);
    let GrowError::Roles { mismatches } = error else {
        panic!("{error}");
    };
    assert!(mismatches.iter().any(|mismatch| matches!(
        mismatch,
        RoleMismatch::Undeclared { path, quantity: Quantity::Dimension(1), .. } if path == "mask"
    )));
    // One model against itself has nothing to say.
    let same = Forgetful::of(8, 2, 3);
    assert_eq!(two_width_check(&same, &same), Ok(vec![]));
}

/// All of it is declared.
#[derive(Module, Growable, Debug)]
struct Declared {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(fan_in = "hidden", fan_out("kv_heads", "queries"))]
    query: Linear,
    #[grow(fan_in = "hidden", fan_out = "kv_heads")]
    key: Linear,
    #[grow(width("kv_heads", "queries"))]
    n_heads: usize,
    #[grow(width("hidden", unit = 2))]
    doubled: usize,
    #[grow(recomputed("hidden", with = inverse_root))]
    scale: f64,
    #[grow(kept("hidden", with = inverse_root))]
    #[module(skip)]
    kept: f64,
    #[grow(skip)]
    seed: usize,
    #[module(skip)]
    #[grow(widths(
        hidden_size = "hidden",
        n_heads("kv_heads", "queries"),
        rope.dim("hidden", groups = 2),
        seed = _
    ))]
    config: Config,
    #[module(skip)]
    #[grow(with = widths)]
    foreign: (usize, usize),
    #[module(skip)]
    #[grow(skip)]
    cached: Vec<usize>,
}

mod widths {
    use burn_grow::describe::{Constants, Describer};

    pub(super) fn describe(sizes: &(usize, usize), describer: &mut Describer) {
        describer.width("0", "hidden", sizes.0);
        describer.width("1", "kv_heads", sizes.1);
    }

    pub(super) fn update_constants(sizes: &mut (usize, usize), constants: &Constants<'_>) {
        constants.width("hidden", &mut sizes.0);
        constants.width("kv_heads", &mut sizes.1);
    }
}

impl Declared {
    fn of(hidden: usize, kv_heads: usize, queries: usize) -> Self {
        Self {
            embed: linear(3, hidden),
            query: linear(hidden, kv_heads * queries),
            key: linear(hidden, kv_heads),
            n_heads: kv_heads * queries,
            doubled: 2 * hidden,
            scale: inverse_root(hidden),
            kept: inverse_root(hidden),
            seed: hidden * 100,
            config: Config::new(hidden, kv_heads, queries),
            foreign: (hidden, kv_heads),
            cached: vec![0; hidden],
        }
    }
}

#[test]
fn every_number_that_is_declared_follows() {
    let narrow = Declared::of(8, 2, 3);
    assert_eq!(
        two_width_check(&narrow, &Declared::of(16, 3, 5)),
        Ok(vec![])
    );
    let grown = grown(
        &narrow,
        &Expansion::by("hidden", 2.0)
            .and_to("kv_heads", 3)
            .and_to("queries", 5),
    );
    let built = Declared::of(16, 3, 5);
    assert_eq!(
        (grown.n_heads, grown.doubled),
        (built.n_heads, built.doubled)
    );
    assert_eq!(grown.scale, built.scale);
    assert_eq!(grown.foreign, built.foreign);
    // What is said to stay does.
    assert_eq!(grown.config.seed, narrow.config.seed);
    let config = Config {
        seed: narrow.config.seed,
        ..built.config
    };
    assert_eq!(grown.config, config);
    assert_eq!((grown.kept, grown.seed), (narrow.kept, narrow.seed));
    // Other axes leave them alone.
    let other = self::grown(&narrow, &Expansion::by("queries", 2.0));
    assert_eq!(
        (other.scale, other.doubled, other.n_heads),
        (narrow.scale, 16, 12)
    );
}

#[test]
fn a_plan_says_what_is_kept() {
    let model = Declared::of(8, 2, 3);
    let blueprint = Blueprint::of(&model).unwrap();
    assert_eq!(blueprint.kept()[0].path, "kept");
    let plan = Plan::new(&blueprint, &Expansion::by("hidden", 2.0)).unwrap();
    let table = plan.to_string();
    assert!(
        table.contains(
            "`kept` keeps its value, which a model built at the new width of hidden does not have"
        ),
        "{table}"
    );
    let other = Plan::new(&blueprint, &Expansion::by("queries", 2.0)).unwrap();
    assert!(!other.to_string().contains("keeps its value"));
    for plan in [plan, other] {
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        let next = blueprint.expanded(&plan);
        let text = serde_json::to_string(&next).unwrap();
        assert_eq!(serde_json::from_str::<Blueprint>(&text).unwrap(), next);
    }
}

#[test]
fn a_constant_that_is_not_its_function_is_rejected() {
    let model = Declared {
        scale: 0.5,
        ..Declared::of(8, 2, 3)
    };
    let error = Blueprint::of(&model).unwrap_err();
    assert!(matches!(&error, GrowError::NotTheFunction { path, .. } if path == "scale"));
    // What is kept is its function in a model that was built, and another number in a grown one.
    let built = Declared::of(8, 2, 3);
    let wide = grown(&built, &Expansion::by("hidden", 2.0));
    assert!(Blueprint::of(&wide).is_ok());
    let wrong = Declared { kept: 0.5, ..built };
    let error = two_width_check(&wrong, &Declared::of(16, 3, 5)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`kept` is 0.5, but its function of hidden, 8 wide, gives 0.3536"
    );
}

#[test]
fn a_stored_product_that_fits_no_widths_is_rejected() {
    let model = Declared {
        n_heads: 7,
        ..Declared::of(8, 2, 3)
    };
    let error = Blueprint::of(&model).unwrap_err();
    assert!(
        matches!(&error, GrowError::StoredWidth { path, .. } if path == "n_heads"),
        "{error}"
    );
    let model = Declared {
        n_heads: 8,
        ..Declared::of(8, 2, 3)
    };
    let error = Blueprint::of(&model).unwrap_err();
    assert!(error.to_string().contains("`n_heads`"), "{error}");
}

/// An embedding times the root of the width, as in the first transformer.
#[derive(Module, Growable, Debug)]
struct Scaled {
    #[grow(fan_out = "hidden")]
    embedding: Embedding,
    #[grow(fan_in = "hidden")]
    head: Linear,
    #[grow(kept("hidden", with = root))]
    scale: f64,
}

fn root(width: usize) -> f64 {
    (width as f64).sqrt()
}

#[test]
fn an_embedding_times_a_kept_root_keeps_its_stream() {
    let model = Scaled {
        embedding: EmbeddingConfig::new(9, 8).init(&device()),
        head: linear(8, 9),
        scale: root(8),
    };
    let model = seeded(model, 1);
    let forward = |model: &Scaled| {
        let tokens = Tensor::<1, Int>::arange(0..9, &device()).reshape([1, 9]);
        let stream = model.embedding.forward(tokens).mul_scalar(model.scale);
        model.head.forward(stream)
    };
    let wide = grown(&model, &Expansion::by("hidden", 2.0));
    let (before, after) = (forward(&model), forward(&wide));
    let largest = before.clone().abs().max().into_scalar::<f32>();
    let change = (before - after).abs().max().into_scalar::<f32>();
    assert!(change < 1e-5 * largest, "{change}");
}

/// What blueprints and plans looked like before constants could be products.
#[test]
fn blueprints_of_before_still_load() {
    let text = r#"{
        "params": [
            {"path": "up.weight", "shape": [3, 8],
             "roles": [[], [{"kind": "fan_out", "terms": ["hidden"]}]],
             "active": {"fraction": 1.0, "ratios": [["top_k", "hidden"]]}}
        ],
        "widths": {"hidden": 8, "top_k": 2},
        "constants": [{"path": "width", "axis": "hidden", "value": 8}],
        "multipliers": [{"path": "scale", "axis": "hidden", "value": 1.0}],
        "frozen": {}
    }"#;
    let blueprint: Blueprint = serde_json::from_str(text).unwrap();
    let again: serde_json::Value = serde_json::to_value(&blueprint).unwrap();
    assert_eq!(
        again,
        serde_json::from_str::<serde_json::Value>(text).unwrap()
    );
}
