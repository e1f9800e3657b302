//! Linear layers.

use burn_nn::Linear;

use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;

/// Weight `[fan_in, fan_out]`, bias `[fan_out]`, in either memory layout. The output side of a
/// language-model head is `vocab`.
#[diagnostic::do_not_recommend]
impl Layer for Linear {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["fan_in", "fan_out", "vocab"], "Linear", describer);
        let output = roles.output("Linear", describer);
        describer.param(&self.weight, [roles.fan_in.clone(), output.clone()]);
        if let Some(bias) = &self.bias {
            describer.param(bias, [output.clone()]);
        }
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}
