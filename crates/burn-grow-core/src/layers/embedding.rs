//! Embeddings.

use burn_nn::Embedding;

use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;

/// Weight `[vocab, fan_out]`.
#[diagnostic::do_not_recommend]
impl Layer for Embedding {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["vocab", "fan_out"], "Embedding", describer);
        describer.param(&self.weight, [roles.vocab.clone(), roles.fan_out.clone()]);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}
