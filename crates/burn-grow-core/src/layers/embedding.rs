use burn_nn::Embedding;

use super::{Layer, LayerRoles};
use crate::Describer;

/// Weight `[vocab, fan_out]`.
#[diagnostic::do_not_recommend]
impl Layer for Embedding {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["vocab", "fan_out"], "Embedding", describe);
        describe.param(&self.weight, [roles.vocab.clone(), roles.fan_out.clone()]);
    }
}
