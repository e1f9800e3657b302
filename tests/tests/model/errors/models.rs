//! Models that are wrong, each in one way.

use super::*;

#[derive(Module, Growable, Debug)]
pub(super) struct Pair {
    #[grow(fan_out = "inner")]
    pub(super) up: Linear,
    #[grow(fan_in = "inner")]
    pub(super) down: Linear,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Sized {
    #[grow(fan_out = "inner")]
    pub(super) up: Linear,
    #[grow(width = "inner")]
    pub(super) inner: usize,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Misnamed {
    #[grow(fan_out = "inner")]
    pub(super) up: Linear,
    #[grow(width = "iner")]
    pub(super) inner: usize,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Scaled {
    #[grow(fan_out = "inner")]
    pub(super) up: Linear,
    #[grow(multiplier = "iner")]
    pub(super) scale: f64,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Laid {
    #[grow(fan_out("inner", groups = 2, unit = 3))]
    pub(super) up: Linear,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Product {
    #[grow(fan_out("outer", "inner"))]
    pub(super) up: Linear,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Frozen {
    #[grow(fan_out = "inner")]
    pub(super) up: Linear,
    #[grow(frozen("head_dim", "the scores are divided by its root"))]
    pub(super) head_dim: usize,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Routed {
    #[grow(dims(gain = "experts", _, _), active = Self::active)]
    pub(super) experts: Param<Tensor<3>>,
    #[grow(count = "top_k")]
    pub(super) top_k: usize,
}

impl Routed {
    pub(super) fn active(&self) -> ActiveFraction {
        ActiveFraction::ratio("top_k", "experts")
    }
}

/// Constants of one axis, and another axis that goes with it.
#[derive(Module, Growable, Debug)]
#[grow(together("inner", "other", "one reads the other"))]
pub(super) struct Stored {
    #[grow(fan_in = "other", fan_out = "inner")]
    pub(super) up: Linear,
    #[grow(recomputed("inner", with = inverse))]
    pub(super) scale: f64,
    #[grow(width("inner", unit = 2))]
    pub(super) twice: usize,
}

pub(super) fn inverse(width: usize) -> f64 {
    1.0 / width as f64
}

pub(super) fn constants(scale: f64, twice: usize) -> Stored {
    Stored {
        up: linear(3, 2),
        scale,
        twice,
    }
}

/// Two products of one axis.
#[derive(Module, Growable, Debug)]
pub(super) struct FusedProducts {
    #[grow(concat(fan_out("outer", "inner"), fan_out("outer", "other")))]
    pub(super) up: Linear,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Half {
    #[grow(axes(outer = _))]
    pub(super) fused: FusedProducts,
}

/// A norm whose statistics nobody sets apart.
#[derive(Module, Growable, Debug)]
pub(super) struct Shared {
    #[grow(with = forgetful)]
    pub(super) norm: BatchNorm,
}

mod forgetful {
    use super::*;

    pub(super) fn describe(norm: &BatchNorm, describer: &mut Describer) {
        let roles = LayerRoles {
            gain: Some(Role::gain("inner")),
            ..LayerRoles::default()
        };
        describer.with_roles(&roles, |roles, describer| norm.describe(roles, describer));
    }

    pub(super) fn update_constants(_: &mut BatchNorm, _: &Constants<'_>) {}
}

pub(super) fn shared() -> Shared {
    Shared {
        norm: BatchNormConfig::new(2).init(&Device::flex()),
    }
}

/// As many outputs as it says.
pub(super) struct Outputs(pub(super) usize);

impl burn_grow::verify::Probe<()> for Outputs {
    fn probe(&self, (): ()) -> Activations {
        Activations::new(Tensor::<1>::zeros([self.0], &Device::flex()))
    }
}

#[derive(Module, Debug)]
pub(super) struct Silent {
    pub(super) up: Linear,
    pub(super) gain: RmsNorm,
}

/// Says nothing about its gain.
impl Growable for Silent {
    fn describe(&self, describe: &mut Describer) {
        let roles = LayerRoles {
            fan_out: Some(Role::fan_out("inner")),
            ..LayerRoles::default()
        };
        describe.layer("up", &self.up, &roles);
    }

    fn update_constants(&mut self, _constants: &Constants<'_>) {}
}

#[derive(Module, Growable, Debug)]
pub(super) struct Gained {
    #[grow(gain = "inner")]
    pub(super) up: Linear,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Consuming {
    #[grow(fan_in = "inner")]
    pub(super) embedding: Embedding,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Grouped {
    #[grow(gain = "inner")]
    pub(super) norm: GroupNorm,
}

#[derive(Module, Growable, Debug)]
pub(super) struct Optional {
    #[grow(fan_out = "inner")]
    pub(super) up: Linear,
    #[grow(gain = "inner")]
    pub(super) norm: Option<RmsNorm>,
}

impl Optional {
    pub(super) fn new(norm: bool) -> Self {
        Self {
            up: linear(3, 4),
            norm: norm.then(|| RmsNormConfig::new(4).init(&Device::flex())),
        }
    }
}

pub(super) fn quantized() -> Mlp {
    let device = Device::flex();
    let scheme = device.settings().quantization.scheme;
    let scheme = scheme.with_value(QuantValue::Q8S);
    let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
    Mlp::of([32, 32, 32], 1, &device).quantize_weights(&mut quantizer)
}

/// A model that no memory could hold.
pub(super) fn vast() -> MoeTransformer {
    let config = MoeConfig {
        vocab_size: 1 << 40,
        hidden: 1 << 40,
        ..MoeConfig::default()
    };
    config.init(&Device::flex())
}
