//! Modules and constants without float parameters: nothing to describe, nothing to grow.

use burn_core::module::{Flag, Param};
use burn_core::tensor::kind::Autodiff;
use burn_core::tensor::{Bool, Int, Tensor};
use burn_nn::activation::{
    Celu, Elu, GLU, Gelu, HardShrink, HardSigmoid, HardSwish, Hardtanh, LeakyRelu, LogSigmoid,
    Mish, RRelu, Relu, Relu6, Selu, Shrink, SiLU, Sigmoid, SoftShrink, Softplus, Softsign, Tanh,
    Tanhshrink, Threshold, ThresholdedRelu,
};
use burn_nn::interpolate::{Interpolate1d, Interpolate2d};
use burn_nn::loss::{
    BinaryCrossEntropyLoss, CTCLoss, CosineEmbeddingLoss, CrossEntropyLoss, GaussianNLLLoss,
    HingeEmbeddingLoss, HuberLoss, KLDivLoss, LpLoss, MarginRankingLoss, MseLoss, MultiMarginLoss,
    PoissonNllLoss, RNNTLoss, SmoothL1Loss, SoftMarginLoss, TripletMarginLoss,
};
use burn_nn::pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AvgPool1d, AvgPool2d, MaxPool1d,
    MaxPool2d,
};
use burn_nn::{
    CosineSimilarity, Dropout, Fold4d, GaussianNoise, Identity, LocalResponseNorm,
    PairwiseDistance, PixelShuffle, PixelUnshuffle, RotaryEncoding, Unfold4d,
};

use crate::describe::constants::{Constants, Number};
use crate::describe::describer::Describer;
use crate::describe::growable::Growable;

macro_rules! parameterless {
    ($($module:ty),+ $(,)?) => {
        $(#[diagnostic::do_not_recommend]
        impl Growable for $module {
            fn describe(&self, _describer: &mut Describer) {}

            fn update_constants(&mut self, _constants: &Constants<'_>) {}
        })+
    };
}

parameterless!(bool, String);

macro_rules! number {
    ($($number:ty),+) => {
        $(#[diagnostic::do_not_recommend]
        impl Growable for $number {
            fn describe(&self, describer: &mut Describer) {
                describer.observe(|| self.to_f64());
            }

            fn update_constants(&mut self, _constants: &Constants<'_>) {}
        })+
    };
}

number!(f32, f64, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

parameterless!(
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AvgPool1d,
    AvgPool2d,
    CosineSimilarity,
    Dropout,
    Fold4d,
    GaussianNoise,
    Identity,
    Interpolate1d,
    Interpolate2d,
    LocalResponseNorm,
    MaxPool1d,
    MaxPool2d,
    PairwiseDistance,
    Param<Flag>,
    PixelShuffle,
    PixelUnshuffle,
    Unfold4d,
);

parameterless!(
    Celu,
    Elu,
    GLU,
    Gelu,
    HardShrink,
    HardSigmoid,
    HardSwish,
    Hardtanh,
    LeakyRelu,
    LogSigmoid,
    Mish,
    RRelu,
    Relu,
    Relu6,
    Selu,
    Shrink,
    SiLU,
    Sigmoid,
    SoftShrink,
    Softplus,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
    ThresholdedRelu,
);

parameterless!(
    CTCLoss,
    CosineEmbeddingLoss,
    GaussianNLLLoss,
    HingeEmbeddingLoss,
    HuberLoss,
    KLDivLoss,
    LpLoss,
    MarginRankingLoss,
    MseLoss,
    MultiMarginLoss,
    PoissonNllLoss,
    RNNTLoss,
    SmoothL1Loss,
    SoftMarginLoss,
    TripletMarginLoss,
);

/// The frequencies of a head cannot follow its width.
#[diagnostic::do_not_recommend]
impl Growable for RotaryEncoding {
    fn describe(&self, describer: &mut Describer) {
        describer.child("freq_complex", &self.freq_complex);
    }

    fn update_constants(&mut self, _constants: &Constants<'_>) {}
}

macro_rules! weighted {
    ($($loss:ty),+) => {
        $(/// The weights of classes cannot follow their number.
        #[diagnostic::do_not_recommend]
        impl Growable for $loss {
            fn describe(&self, describer: &mut Describer) {
                describer.child("weights", &self.weights);
            }

            fn update_constants(&mut self, _constants: &Constants<'_>) {}
        })+
    };
}

weighted!(BinaryCrossEntropyLoss, CrossEntropyLoss);

#[diagnostic::do_not_recommend]
impl<const D: usize> Growable for Param<Tensor<D, Int>> {
    fn describe(&self, describer: &mut Describer) {
        describer.observe_shape(|| self.dims().to_vec(), false);
    }

    fn update_constants(&mut self, _constants: &Constants<'_>) {}
}

#[diagnostic::do_not_recommend]
impl<const D: usize> Growable for Param<Tensor<D, Bool>> {
    fn describe(&self, describer: &mut Describer) {
        describer.observe_shape(|| self.dims().to_vec(), false);
    }

    fn update_constants(&mut self, _constants: &Constants<'_>) {}
}

/// Plain tensor fields are not parameters and never grow.
#[diagnostic::do_not_recommend]
impl<const D: usize, K: Autodiff> Growable for Tensor<D, K> {
    fn describe(&self, describer: &mut Describer) {
        describer.observe_shape(|| self.dims().to_vec(), false);
    }

    fn update_constants(&mut self, _constants: &Constants<'_>) {}
}
