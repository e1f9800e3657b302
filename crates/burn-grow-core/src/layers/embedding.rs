use burn_nn::Embedding;

use super::{Layer, LayerRoles};
use crate::Describe;

/// Weight `[n_embedding, fan_out]`.
#[diagnostic::do_not_recommend]
impl Layer for Embedding {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&["fan_out"], "Embedding", describe);
        describe.param(&self.weight, [None, roles.fan_out.clone()]);
    }
}
