use burn_nn::Linear;

use super::{Layer, LayerRoles};
use crate::Describer;

/// Weight `[fan_in, fan_out]`, bias `[fan_out]`, in either memory layout. The output side of a
/// language-model head is `vocab`.
#[diagnostic::do_not_recommend]
impl Layer for Linear {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["fan_in", "fan_out", "vocab"], "Linear", describe);
        let output = roles.output("Linear", describe);
        describe.param(&self.weight, [roles.fan_in.clone(), output.clone()]);
        if let Some(bias) = &self.bias {
            describe.param(bias, [output.clone()]);
        }
    }
}
