//! Logits, routing and losses of a forward pass.

use burn_core::tensor::{DType, FloatDType, Int, Tensor};

use crate::expert_load::ExpertLoad;
use crate::router::Routed;

/// The output of a forward pass: the logits, and the experts that every layer sent its tokens to.
#[derive(Clone, Debug)]
pub struct MoeOutput {
    /// `[batch, seq, vocab]`
    pub logits: Tensor<3>,
    /// The experts that each layer sent its tokens to.
    pub routed: Vec<Routed>,
}

impl MoeOutput {
    /// The load-balancing loss of Hugging Face's OLMoE and Qwen3-MoE, before its coefficient:
    /// `[1]`.
    ///
    /// `n_experts * sum_e f_e P_e`, where `f_e` is the number of times expert `e` was chosen per
    /// token and `P_e` its mean probability, both over the tokens of all layers
    /// ([arXiv 2101.03961](https://arxiv.org/abs/2101.03961) for one choice). The `f_e` sum to
    /// `top_k` and the `P_e` to one, so a router that treats all experts alike gives `top_k`. One
    /// that sends every token to the same `top_k` experts with certainty gives `n_experts`. Zero for
    /// a model without layers.
    pub fn load_balancing(&self) -> Tensor<1> {
        let Some(first) = self.routed.first() else {
            return self.nothing();
        };
        let n_experts = first.routing.n_experts();
        let tokens: usize = self.routed.iter().map(|layer| layer.routing.tokens()).sum();
        let frequencies = self.load().cast(FloatDType::F32) / tokens as f64;
        let probabilities = self.mean(|layer| layer.probabilities.clone());
        (probabilities * frequencies).sum() * n_experts as f64
    }

    /// The router's z-loss before its coefficient, `mean(logsumexp(router logits)^2)` over the
    /// tokens of all layers ([arXiv 2202.08906](https://arxiv.org/abs/2202.08906)): `[1]`. Zero for
    /// a model without layers.
    pub fn z_loss(&self) -> Tensor<1> {
        self.mean(|layer| layer.z.clone())
    }

    /// The number of tokens that each expert index received, summed over all layers, on the device:
    /// `[n_experts]`, or `[0]` for a model without layers.
    pub fn load(&self) -> Tensor<1, Int> {
        let mut layers = self.routed.iter().map(|layer| layer.routing.load());
        let Some(first) = layers.next() else {
            return Tensor::zeros([0], &self.logits.device());
        };
        layers.fold(first, |sum, layer| sum + layer)
    }

    /// Measures how evenly the experts were used. Reads the load of every layer from the device.
    pub fn expert_load(&self) -> ExpertLoad {
        ExpertLoad::of(self.routed.iter().map(|layer| &layer.routing))
    }

    /// The mean over layers, which all see the same number of tokens.
    fn mean(&self, of: impl Fn(&Routed) -> Tensor<1>) -> Tensor<1> {
        let mut layers = self.routed.iter().map(of);
        let Some(first) = layers.next() else {
            return self.nothing();
        };
        layers.fold(first, |sum, layer| sum + layer) / self.routed.len() as f64
    }

    /// A loss of zero.
    fn nothing(&self) -> Tensor<1> {
        Tensor::zeros([1], (&self.logits.device(), DType::F32))
    }
}

/// The parts of the training loss: `[1]` each.
#[derive(Clone, Debug)]
pub struct MoeLoss {
    /// The mean cross entropy, in nats.
    pub cross_entropy: Tensor<1>,
    /// The load-balancing loss, before its coefficient.
    pub load_balancing: Tensor<1>,
    /// The router's z-loss, before its coefficient.
    pub z_loss: Tensor<1>,
    /// The loss to minimize: the cross entropy plus the other two times their coefficients.
    pub total: Tensor<1>,
}
