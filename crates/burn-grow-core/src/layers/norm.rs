use burn_nn::{LayerNorm, RmsNorm};

use super::{Layer, LayerRoles};
use crate::Describe;

/// Gain `[gain]`.
#[diagnostic::do_not_recommend]
impl Layer for RmsNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&["gain"], "RmsNorm", describe);
        describe.param(&self.gamma, [roles.gain.clone()]);
    }
}

/// Gain `[gain]`, bias `[gain]`.
#[diagnostic::do_not_recommend]
impl Layer for LayerNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&["gain"], "LayerNorm", describe);
        describe.param(&self.gamma, [roles.gain.clone()]);
        if let Some(beta) = &self.beta {
            describe.param(beta, [roles.gain.clone()]);
        }
    }
}
