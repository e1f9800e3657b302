//! One layer of the model.

use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::Tensor;
use burn_grow_derive::Growable;
use burn_grow_kernels::{Positions, rms_norm};
use burn_nn::RmsNorm;

use crate::activation_hook::{ActivationHook, Site};
use crate::attention::Attention;
use crate::feed_forward::MoeFeedForward;
use crate::kv_cache::KeyValues;
use crate::router::Routed;
use crate::weight_init::WeightInit;

/// One layer: attention, then experts. Each is applied to the normalized residual stream, and its
/// output added to the stream.
///
/// `h = x + attention(norm(x))`, `y = h + experts(norm(h))`.
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct Block {
    /// `[hidden]`
    #[grow(gain = "hidden")]
    pub attention_norm: RmsNorm,
    /// The attention.
    pub attention: Attention,
    /// `[hidden]`
    #[grow(gain = "hidden")]
    pub feed_forward_norm: RmsNorm,
    /// The experts.
    pub feed_forward: MoeFeedForward,
}

impl Block {
    pub(crate) fn new(init: &WeightInit<'_>) -> Self {
        Self {
            attention_norm: init.norm(init.config.hidden),
            attention: Attention::new(init),
            feed_forward_norm: init.norm(init.config.hidden),
            feed_forward: MoeFeedForward::new(init),
        }
    }

    /// Applies the layer. Also returns the experts that every token was sent to.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, hidden]`
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        cache: Option<&mut KeyValues>,
        layer: usize,
        hook: &mut impl ActivationHook,
    ) -> (Tensor<3>, Routed) {
        let normed = norm(&self.attention_norm, x.clone());
        let attended = self.attention.attend(normed, positions, cache);
        hook.see(Site::Attention(layer), &attended);
        let x = x + attended;
        let (answer, routed) = self
            .feed_forward
            .forward(norm(&self.feed_forward_norm, x.clone()));
        hook.see(Site::Experts(layer), &answer);
        let x = x + answer;
        hook.see(Site::Block(layer), &x);
        (x, routed)
    }
}

pub(crate) fn norm(norm: &RmsNorm, x: Tensor<3>) -> Tensor<3> {
    rms_norm(x, norm.gamma.val(), norm.epsilon)
}
