//! What a layer cannot do.

use burn::module::{Module, ModuleDisplay};
use burn::nn::activation::{Activation, ActivationConfig};
use burn::nn::attention::{CrossAttention, CrossAttentionConfig, MultiHeadAttentionConfig};
use burn::nn::conv::{Conv1d, Conv1dConfig, ConvTranspose1dConfig, DeformConv2dConfig};
use burn::nn::transformer::{PositionWiseFeedForwardConfig, TransformerEncoderConfig};
use burn::nn::{
    BatchNormConfig, GroupNormConfig, InstanceNormConfig, LinearConfig, LstmConfig, SwiGluConfig,
};
use burn::tensor::Device;
use burn_grow::describe::{Constants, Describer, Layer, LayerRoles, Role, RoleKind};
use burn_grow::{Blueprint, GrowError, Growable};

/// One layer and its roles.
#[derive(Module, Debug)]
struct One<L: Module> {
    layer: L,
    #[module(skip)]
    roles: LayerRoles,
}

impl<L: Layer + ModuleDisplay + core::fmt::Debug> Growable for One<L> {
    fn describe(&self, describe: &mut Describer) {
        describe.layer("layer", &self.layer, &self.roles);
    }

    fn update_constants(&mut self, constants: &Constants<'_>) {
        self.layer.update_constants(&self.roles, constants);
    }
}

fn refused<L>(layer: L, roles: LayerRoles) -> String
where
    L: Layer + ModuleDisplay + core::fmt::Debug,
{
    match Blueprint::of(&One { layer, roles }).unwrap_err() {
        GrowError::UnsupportedLayer {
            path,
            layer,
            reason,
        } => {
            assert!(path.starts_with("layer"), "{path}");
            format!("{layer}: {reason}")
        }
        error => error.to_string(),
    }
}

fn roles() -> LayerRoles {
    LayerRoles::default()
}

fn gain(role: Role) -> LayerRoles {
    LayerRoles {
        gain: Some(role.with_kind(RoleKind::Gain)),
        ..roles()
    }
}

fn fan_in(role: Role) -> LayerRoles {
    LayerRoles {
        fan_in: Some(role.with_kind(RoleKind::FanIn)),
        ..roles()
    }
}

fn fan_out(role: Role) -> LayerRoles {
    LayerRoles {
        fan_out: Some(role),
        ..roles()
    }
}

fn heads(role: Role) -> LayerRoles {
    LayerRoles {
        heads: Some(role),
        ..roles()
    }
}

#[test]
fn what_a_layer_cannot_do_is_refused_with_what_to_write() {
    let device = &Device::flex();
    let grouped = || -> Conv1d { Conv1dConfig::new(8, 4, 3).with_groups(2).init(device) };
    let deform = || DeformConv2dConfig::new([4, 4], [3, 3]).with_offset_groups(2);
    let attention = || MultiHeadAttentionConfig::new(12, 4).init(device);
    let cross = || -> CrossAttention { CrossAttentionConfig::new(4, 6, 2, 2, 3).init(device) };
    let axis = || Role::fan_out("axis");
    let messages = [
        refused(grouped(), fan_in(axis())),
        refused(grouped(), fan_out(axis())),
        refused(grouped(), fan_out(axis().with_groups(3))),
        refused(
            grouped(),
            LayerRoles {
                fan_in: Some(Role::fan_in("axis").with_groups(2)),
                ..gain(axis())
            },
        ),
        refused(Conv1dConfig::new(8, 4, 3).init(device), gain(axis())),
        refused(
            ConvTranspose1dConfig::new([8, 4], 3)
                .with_groups(2)
                .init(device),
            fan_out(axis()),
        ),
        refused(deform().init(device), fan_in(axis())),
        refused(deform().with_weight_groups(4).init(device), gain(axis())),
        refused(GroupNormConfig::new(2, 8).init(device), gain(axis())),
        refused(
            GroupNormConfig::new(2, 8).init(device),
            gain(axis().with_unit(2)),
        ),
        refused(attention(), fan_in(axis())),
        refused(
            attention(),
            LayerRoles {
                fan_out: Some(axis().with_unit(2)),
                ..heads(axis())
            },
        ),
        refused(
            TransformerEncoderConfig::new(12, 8, 4, 1).init(device),
            fan_out(axis()),
        ),
        refused(cross(), fan_in(axis())),
        refused(cross(), heads(axis())),
        refused(
            PositionWiseFeedForwardConfig::new(4, 8)
                .with_activation(ActivationConfig::SwiGlu(SwiGluConfig::new(8, 8)))
                .init(device),
            LayerRoles {
                inner: Some(axis()),
                ..roles()
            },
        ),
        refused::<Activation>(
            ActivationConfig::SwiGlu(SwiGluConfig::new(4, 4)).init(device),
            gain(axis()),
        ),
        refused(LstmConfig::new(4, 4, true).init(device), heads(axis())),
        refused(BatchNormConfig::new(4).init(device), fan_in(axis())),
        refused(LinearConfig::new(4, 4).init(device), heads(axis())),
        // No parameter lies on the axis, so only the stored width could.
        refused(
            InstanceNormConfig::new(4).with_affine(false).init(device),
            gain(axis()),
        ),
    ];
    insta::assert_snapshot!(messages.join("\n"), @r#"
    Conv1d: `fan_in` would copy channels of one of its 2 groups into another: lay them out group by group, `fan_in("axis", groups = 2)`, here and wherever these channels are made or read
    Conv1d: `fan_out` would copy channels of one of its 2 groups into another: lay them out group by group, `fan_out("axis", groups = 2)`, here and wherever these channels are made or read
    Conv1d: `fan_out` would copy channels of one of its 2 groups into another: lay them out group by group, `fan_out("axis", groups = 2)`, here and wherever these channels are made or read
    Conv1d: `gain` adds groups and `fan_in` and `fan_out` widen each of them: name one or the other
    Conv1d: `gain` adds groups, and it has only one: name `fan_in` and `fan_out`
    ConvTranspose1d: `fan_out` would copy channels of one of its 2 groups into another: lay them out group by group, `fan_out("axis", groups = 2)`, here and wherever these channels are made or read
    DeformConv2d: `fan_in` would copy channels of one of its 2 groups into another: lay them out group by group, `fan_in("axis", groups = 2)`, here and wherever these channels are made or read
    DeformConv2d: the field of offsets of each group of channels cannot follow: use one offset group
    GroupNorm: `gain` would copy channels of one of its 2 groups into another: lay them out group by group, `gain("axis", groups = 2)`, here and wherever these channels are made or read
    GroupNorm: `gain` would copy channels of one of its 2 groups into another: lay them out group by group, `gain("axis", groups = 2)`, here and wherever these channels are made or read
    MultiHeadAttention: it reads and writes one stream, which its heads of 3 fill: name `heads = ".."`, and leave out `fan_in` or give it the same axis with `unit = 3`
    MultiHeadAttention: it reads and writes one stream, which its heads of 3 fill: name `heads = ".."`, and leave out `fan_out` or give it the same axis with `unit = 3`
    TransformerEncoderLayer: it reads and writes one stream, which its heads of 3 fill: name `heads = ".."`, and leave out `fan_out` or give it the same axis with `unit = 3`
    CrossAttention: it has two inputs: name both, `concat(fan_in = "query", fan_in = "context")`, with `fixed = size` for one that never grows
    CrossAttention: Burn keeps the number of its heads private, so it cannot be updated
    PositionWiseFeedForward: Burn keeps the parameters of its activation private, so they cannot grow with `inner`
    layer `layer`: SwiGlu has no `gain`, it takes `fan_in`, `fan_out`
    layer `layer`: Lstm has no `heads`, it takes `fan_in`, `fan_out`
    layer `layer`: BatchNorm has no `fan_in`, it takes `gain`
    layer `layer`: Linear has no `heads`, it takes `fan_in`, `fan_out`, `vocab`
    unknown axis `axis`: the model has none
    "#);
}
