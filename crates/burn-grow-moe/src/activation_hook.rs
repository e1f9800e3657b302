//! Hooks that look at the activations of a forward pass.

use core::fmt;

use burn_core::tensor::{DType, Tensor};

/// A place of the model whose activation a hook is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Site {
    /// The embedded tokens.
    Embedding,
    /// The output of a layer's attention, before it is added to the residual stream.
    Attention(usize),
    /// The output of a layer's experts, before it is added to the residual stream.
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

/// A hook that sees the activations while a forward pass computes them.
///
/// Closures are hooks, and `()` is the hook that sees nothing and costs nothing.
///
/// ```
/// use burn_core::tensor::{Device, Int, Tensor};
/// use burn_grow_moe::{MoeConfig, Site};
///
/// let device = Device::flex();
/// let model = MoeConfig::default().init(&device);
/// let mut sites = Vec::new();
/// let mut hook = |site: Site, _: &Tensor<3>| sites.push(site.to_string());
/// model.forward_hooked(Tensor::<2, Int>::zeros([1, 4], &device), &mut hook);
/// assert_eq!(sites[..2], ["embedding", "layer 0 attention"]);
/// ```
pub trait ActivationHook {
    /// Called with the activation of `site`: `[batch, seq, width]`.
    fn see(&mut self, site: Site, activation: &Tensor<3>);
}

impl ActivationHook for () {
    fn see(&mut self, _site: Site, _activation: &Tensor<3>) {}
}

impl<F: FnMut(Site, &Tensor<3>)> ActivationHook for F {
    fn see(&mut self, site: Site, activation: &Tensor<3>) {
        self(site, activation);
    }
}

/// A hook that records the root mean square of every activation, site by site.
///
/// Width expansion is meant to keep these numbers; muP's coordinate check plots them against the
/// width.
///
/// ```
/// use burn_core::tensor::{Device, Int, Tensor};
/// use burn_grow_moe::{MoeConfig, RmsHook};
///
/// let device = Device::flex();
/// let model = MoeConfig::default().init(&device);
/// let mut hook = RmsHook::default();
/// model.forward_hooked(Tensor::<2, Int>::zeros([1, 4], &device), &mut hook);
/// for (site, rms) in hook.values() {
///     println!("{site}: {rms:.3}");
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RmsHook {
    /// The root mean squares, in the order of the forward pass: `[1]` each.
    pub sites: Vec<(Site, Tensor<1>)>,
}

impl RmsHook {
    /// Reads the numbers from the device.
    pub fn values(self) -> Vec<(Site, f64)> {
        let read = |rms: Tensor<1>| rms.into_scalar::<f32>() as f64;
        self.sites
            .into_iter()
            .map(|(site, rms)| (site, read(rms)))
            .collect()
    }
}

impl ActivationHook for RmsHook {
    fn see(&mut self, site: Site, activation: &Tensor<3>) {
        let activation = activation.clone().without_autodiff().cast(DType::F32);
        self.sites.push((site, activation.square().mean().sqrt()));
    }
}
