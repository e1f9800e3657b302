use core::fmt;

use burn_core::tensor::{DType, Int, Tensor};
use burn_grow_core::Activations;

use crate::MoeTransformer;

/// A place of the model where an activation can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Site {
    /// The embedded tokens.
    Embedding,
    /// What the attention of a layer adds to the residual stream.
    Attention(usize),
    /// What the experts of a layer add to the residual stream.
    Experts(usize),
    /// The residual stream after a layer.
    Block(usize),
    /// The logits.
    Logits,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedding => f.write_str("embedding"),
            Self::Attention(layer) => write!(f, "layer {layer} attention"),
            Self::Experts(layer) => write!(f, "layer {layer} experts"),
            Self::Block(layer) => write!(f, "layer {layer} residual"),
            Self::Logits => f.write_str("logits"),
        }
    }
}

/// Looks at activations while a forward pass makes them.
///
/// `()` looks at none and costs nothing; a closure of a [`Site`] and a `[batch, seq, width]` tensor
/// is a probe.
pub trait Probe {
    /// Looks at the activation of `site`: `[batch, seq, width]`.
    fn see(&mut self, site: Site, activation: &Tensor<3>);
}

impl Probe for () {
    fn see(&mut self, _site: Site, _activation: &Tensor<3>) {}
}

impl<F: FnMut(Site, &Tensor<3>)> Probe for F {
    fn see(&mut self, site: Site, activation: &Tensor<3>) {
        self(site, activation);
    }
}

/// The root mean square of every activation that a forward pass makes, site by site.
///
/// Width expansion is meant to keep these: the coordinate check of muP plots them against the
/// width.
#[derive(Clone, Debug, Default)]
pub struct RmsProbe {
    /// The root mean squares, in the order of the forward pass: `[1]` each.
    pub sites: Vec<(Site, Tensor<1>)>,
}

impl RmsProbe {
    /// Reads the numbers.
    pub fn values(self) -> Vec<(Site, f64)> {
        let read = |rms: Tensor<1>| rms.into_scalar::<f32>() as f64;
        self.sites
            .into_iter()
            .map(|(site, rms)| (site, read(rms)))
            .collect()
    }
}

impl Probe for RmsProbe {
    fn see(&mut self, site: Site, activation: &Tensor<3>) {
        let activation = activation.clone().without_autodiff().cast(DType::F32);
        self.sites.push((site, activation.square().mean().sqrt()));
    }
}

/// The logits of tokens, `[batch, seq]`, and the root mean square at every [`Site`].
impl burn_grow_core::Probe<Tensor<2, Int>> for MoeTransformer {
    fn probe(&self, tokens: Tensor<2, Int>) -> Activations {
        let mut probe = RmsProbe::default();
        let output = self.forward_probed(tokens, &mut probe);
        let sites = probe.values().into_iter();
        sites.fold(Activations::new(output.logits), |found, (site, rms)| {
            found.with_rms(site.to_string(), rms)
        })
    }
}
