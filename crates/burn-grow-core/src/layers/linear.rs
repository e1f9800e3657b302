use burn_nn::Linear;

use super::{Layer, LayerRoles};
use crate::Describe;

/// Weight `[fan_in, fan_out]`, bias `[fan_out]`, in either memory layout.
#[diagnostic::do_not_recommend]
impl Layer for Linear {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&["fan_in", "fan_out"], "Linear", describe);
        describe.param(&self.weight, [roles.fan_in.clone(), roles.fan_out.clone()]);
        if let Some(bias) = &self.bias {
            describe.param(bias, [roles.fan_out.clone()]);
        }
    }
}
