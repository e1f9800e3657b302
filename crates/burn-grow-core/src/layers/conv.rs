//! Convolutions. Channels grow; kernel sizes do not.

use burn_core::module::Param;
use burn_core::tensor::Tensor;
use burn_nn::conv::{
    Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, DeformConv2d,
};

use super::groups;
use super::shared::reject;
use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;
use crate::describe::role::Role;

/// The channels along the first two dimensions of a weight.
#[derive(Clone, Copy)]
enum Order {
    /// `[channels_out, channels_in / groups, ..]`.
    OutIn,
    /// `[channels_in, channels_out / groups, ..]`, as transposed convolutions have it.
    InOut,
}

/// The fields that all convolutions have in common.
struct Conv<'a, const D: usize> {
    name: &'static str,
    weight: &'a Param<Tensor<D>>,
    bias: Option<&'a Param<Tensor<1>>>,
    groups: usize,
    /// Groups of input channels that share one field of offsets.
    offset_groups: usize,
    order: Order,
}

impl<const D: usize> Conv<'_, D> {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["fan_in", "fan_out", "gain"], self.name, describer);
        let ([first, second], bias) = match &roles.gain {
            Some(gain) => self.grouped(gain, roles, describer),
            None => self.dense(roles, describer),
        };
        let mut dims = [const { None }; D];
        for (dim, role) in dims.iter_mut().zip([first, second]) {
            *dim = role;
        }
        describer.param(self.weight, dims);
        if let Some(param) = self.bias {
            describer.param(param, [bias]);
        }
    }

    /// Widens every group.
    fn dense(
        &self,
        roles: &LayerRoles,
        describer: &mut Describer,
    ) -> ([Option<Role>; 2], Option<Role>) {
        let mut within = |attribute, role: &Option<Role>, all: &[usize]| {
            let role = role.as_ref().filter(|role| role.grows())?;
            for groups in all {
                if groups::within(role, *groups).is_none() {
                    let advice = groups::advice(attribute, role, *groups);
                    reject(self.name, advice, describer);
                }
            }
            groups::within(role, self.groups)
        };
        let fan_in = within("fan_in", &roles.fan_in, &[self.groups, self.offset_groups]);
        let fan_out = within("fan_out", &roles.fan_out, &[self.groups]);
        let dims = match self.order {
            Order::OutIn => [roles.fan_out.clone(), fan_in],
            Order::InOut => [roles.fan_in.clone(), fan_out],
        };
        (dims, roles.fan_out.clone())
    }

    /// Adds groups, each a copy with all its weights. Nothing sums over the axis, so nothing is
    /// rescaled.
    fn grouped(
        &self,
        gain: &Role,
        roles: &LayerRoles,
        describer: &mut Describer,
    ) -> ([Option<Role>; 2], Option<Role>) {
        let reason = if roles.fan_in.is_some() || roles.fan_out.is_some() {
            "`gain` adds groups and `fan_in` and `fan_out` widen each of them: name one or the other"
        } else if self.groups == 1 {
            "`gain` adds groups, and it has only one: name `fan_in` and `fan_out`"
        } else if self.offset_groups > 1 {
            "the field of offsets of each group of channels cannot follow: use one offset group"
        } else {
            let [first, second] = self.channels();
            let per_group = match self.order {
                Order::OutIn => first,
                Order::InOut => second,
            };
            return (
                [Some(groups::times(gain, first)), None],
                Some(groups::times(gain, per_group)),
            );
        };
        reject(self.name, reason, describer);
        ([None, None], None)
    }

    /// Counts the channels of one group along the first two dimensions.
    fn channels(&self) -> [usize; 2] {
        let dims = self.weight.dims();
        [dims[0] / self.groups, dims[1]]
    }
}

macro_rules! conv {
    (
        $doc:literal,
        $order:ident,
        |$layer:ident, $roles:ident, $constants:ident| $update:block,
        [$($conv:ident),+]
    ) => {
        $(
            #[doc = $doc]
            #[diagnostic::do_not_recommend]
            impl Layer for $conv {
                fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
                    let conv = Conv {
                        name: stringify!($conv),
                        weight: &self.weight,
                        bias: self.bias.as_ref(),
                        groups: self.groups,
                        offset_groups: 1,
                        order: Order::$order,
                    };
                    conv.describe(roles, describer);
                }

                fn update_constants(&mut self, $roles: &LayerRoles, $constants: &Constants<'_>) {
                    let $layer = self;
                    $update
                }
            }
        )+
    };
}

conv!(
    "Weight `[fan_out, fan_in / groups, ..]`, bias `[fan_out]`. With `groups > 1` the channels lie \
     group by group on both sides; `gain` names the axis of the groups themselves, as in a \
     depthwise convolution.",
    OutIn,
    |conv, roles, constants| {
        constants.size(roles.gain.as_ref(), &mut conv.groups);
    },
    [Conv1d, Conv2d, Conv3d]
);
conv!(
    "Weight `[fan_in, fan_out / groups, ..]`, bias `[fan_out]`, groups as in a convolution. \
     `channels` is updated, though only its display reads it.",
    InOut,
    |conv, roles, constants| {
        let [fan_in, fan_out] = &mut conv.channels;
        constants.size(roles.fan_in.as_ref(), fan_in);
        constants.size(roles.fan_out.as_ref(), fan_out);
        let groups = conv.groups;
        constants.size(roles.gain.as_ref(), &mut conv.groups);
        conv.channels = conv.channels.map(|size| size / groups * conv.groups);
    },
    [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d]
);

/// Weight `[fan_out, fan_in / weight_groups, ..]`, bias `[fan_out]`, groups as in a convolution.
/// The input channels also lie group by group of their offsets. Offsets and mask are separate
/// inputs, and their channels never grow.
#[diagnostic::do_not_recommend]
impl Layer for DeformConv2d {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let conv = Conv {
            name: "DeformConv2d",
            weight: &self.weight,
            bias: self.bias.as_ref(),
            groups: self.weight_groups,
            offset_groups: self.offset_groups,
            order: Order::OutIn,
        };
        conv.describe(roles, describer);
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.gain.as_ref(), &mut self.weight_groups);
    }
}
