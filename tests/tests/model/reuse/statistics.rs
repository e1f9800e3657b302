//! Statistics that clones share, wherever a batch norm is used.

use burn::nn::{LayerNorm, LayerNormConfig};

use super::*;

/// Batch norms in every kind of place.
#[derive(Module, Growable, Debug)]
struct Everywhere {
    #[grow(axes(input = _, output = "c"))]
    child: ConvBlock,
    #[grow(gain = "c")]
    layer: BatchNorm,
    #[grow(gain = "c", first(gain = "d"))]
    stack: Vec<BatchNorm>,
    #[grow(axes(input = "c"), rest(axes(output = "c")), first(axes(output = "d")))]
    blocks: Vec<ConvBlock>,
    #[grow(with = by_hand)]
    with: BatchNorm,
    #[grow(skip)]
    skipped: BatchNorm,
    #[grow(gain = "c")]
    plain: Option<LayerNorm>,
}

mod by_hand {
    use super::*;

    fn roles() -> LayerRoles {
        LayerRoles {
            gain: Some(Role::gain("c")),
            ..LayerRoles::default()
        }
    }

    pub(super) fn describe(norm: &BatchNorm, describer: &mut Describer) {
        describer.layer("norm", norm, &roles());
    }

    pub(super) fn update_constants(norm: &mut BatchNorm, constants: &Constants<'_>) {
        constants.layer(norm, &roles());
    }
}

#[test]
fn the_statistics_of_the_original_stay_wherever_a_batch_norm_is() {
    let norm = |width| BatchNormConfig::new(width).init(&device());
    let model = Everywhere {
        child: ConvBlock::new(1, 4),
        layer: norm(4),
        stack: vec![norm(3), norm(4)],
        blocks: vec![ConvBlock::new(4, 3), ConvBlock::new(4, 4)],
        with: norm(4),
        skipped: norm(2),
        plain: Some(LayerNormConfig::new(4).init(&device())),
    };
    let norms = |model: &Everywhere| {
        let blocks = model.blocks.iter().map(|block| &block.norm);
        let mut norms = vec![&model.child.norm, &model.layer, &model.with, &model.skipped];
        norms.extend(model.stack.iter().chain(blocks));
        let widths = norms
            .into_iter()
            .map(|norm| norm.running_mean.value().dims()[0]);
        widths.collect::<Vec<_>>()
    };
    let before = norms(&model);
    let wide = grown(&model, &Expansion::by("c", 2.0).and_by("d", 3.0));
    assert_eq!(norms(&model), before);
    assert_eq!(norms(&wide), [8, 8, 8, 2, 9, 8, 9, 8]);
    let x = random([2, 1, 8, 8], 5, &device());
    let first = model.child.forward(x.clone());
    assert_eq!(first.dims()[1], 4);
    assert_eq!(wide.child.forward(x).dims()[1], 8);
}

/// A description that forgets to update the norm.
#[derive(Module, Growable, Debug)]
struct Forgets {
    #[grow(with = forgetful)]
    norm: BatchNorm,
}

mod forgetful {
    use super::*;

    pub(super) use super::by_hand::describe;

    pub(super) fn update_constants(_: &mut BatchNorm, _: &Constants<'_>) {}
}

#[test]
fn a_statistic_that_would_grow_in_clones_is_rejected() {
    let model = Forgets {
        norm: BatchNormConfig::new(4).init(&device()),
    };
    let plan = Expansion::by("c", 2.0).plan(&model).unwrap();
    let error = plan.apply(model.clone()).unwrap_err();
    assert!(
        matches!(&error, GrowError::SharedState { path } if path == "norm.running_mean"),
        "{error}"
    );
    assert_eq!(model.norm.running_mean.value().dims(), [4]);
    assert_eq!(model.norm.running_var.value().dims(), [4]);
    assert_eq!(model.norm.gamma.dims(), [4]);
}
