//! Stacks in stacks, and stacks of layers.

use super::*;

/// Stages, each a stack of blocks, in a stack of their own; and a stack of layers.
#[derive(Module, Growable, Debug)]
struct Nested {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(depth = "stages")]
    stages: Vec<Stage>,
    #[grow(depth = "mixers", fan_in = "hidden", fan_out = "hidden")]
    mixers: Vec<Linear>,
}

/// Stages only.
#[derive(Module, Growable, Debug)]
pub(super) struct Hollow {
    #[grow(fan_out = "hidden")]
    pub(super) embed: Linear,
    #[grow(depth = "stages")]
    pub(super) stages: Vec<Stage>,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Stage {
    #[grow(depth = "layers", fresh = Self::block)]
    pub(super) blocks: Vec<StackedBlock>,
    #[grow(gain = "hidden")]
    pub(super) norm: LayerNorm,
}

impl Stage {
    fn block(&self) -> StackedBlock {
        StackedBlock::new(4, 6, &self.norm.gamma.device())
    }
}

impl Nested {
    fn new(device: &Device) -> Self {
        let stage = || Stage {
            blocks: vec![StackedBlock::new(4, 6, device)],
            norm: LayerNormConfig::new(4).init(device),
        };
        let nested = Self {
            embed: LinearConfig::new(3, 4).init(device),
            stages: vec![stage(), stage()],
            mixers: vec![LinearConfig::new(4, 4).init(device)],
        };
        seeded(nested, 3)
    }
}

#[test]
fn stacks_in_stacks_and_stacks_of_layers_grow() {
    let device = Device::flex();
    let nested = Nested::new(&device);
    let blueprint = Blueprint::of(&nested).unwrap();
    let expansion = Expansion::to("stages", 3)
        .and_to("layers", 2)
        .and_to("mixers", 4)
        .and_by("inner", 2.0);
    let plan = plan(&nested, &expansion);
    let deep = plan.apply(nested.clone()).unwrap();
    check_description(&deep, &blueprint.expanded(&plan)).unwrap();
    assert_eq!(
        (
            deep.stages.len(),
            deep.stages[2].blocks.len(),
            deep.mixers.len()
        ),
        (3, 2, 4)
    );
    let one_by_one =
        ["mixers", "layers", "inner", "stages"]
            .into_iter()
            .fold(nested, |model, axis| {
                let one = Expansion {
                    targets: expansion
                        .targets
                        .clone()
                        .into_iter()
                        .filter(|(it, _)| it.as_str() == axis)
                        .collect(),
                    ..Expansion::default()
                };
                grown(&model, &one)
            });
    assert_eq!(params(&one_by_one), params(&deep));
    let ids: std::collections::BTreeSet<u64> =
        dump::params(&deep).values().map(|it| it.id).collect();
    assert_eq!(ids.len(), params(&deep).len());
}
