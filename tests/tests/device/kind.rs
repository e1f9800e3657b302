use device::Backend;

/// What kind of number is compared, and so how far two devices may be apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// What was moved or copied, and multiplied by a factor: the same bits.
    Bits,
    /// What a forward pass computes.
    Outputs,
    /// What a backward pass computes.
    Gradients,
    /// The same through a gelu: everywhere but on Flex and LibTorch, Burn 0.22.1 takes the
    /// derivative of its approximation by tanh.
    GeluGradients,
    /// Parameters and optimizer state after steps on given gradients.
    Steps,
    /// Losses, and parameters after them, of a training that computes its own gradients.
    Training,
    /// Losses of a training in bf16, of 8 bits.
    Bf16,
    /// Losses of a training in f16, of 11 bits.
    F16,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bits => "bits",
            Self::Outputs => "outputs",
            Self::Gradients => "gradients",
            Self::GeluGradients => "gelu gradients",
            Self::Steps => "optimizer steps",
            Self::Training => "training",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// The largest difference that passes, as a part of the largest number.
    pub(crate) fn bound(self, backend: Backend) -> f64 {
        // CubeCL multiplies f32 matrices on CUDA in TF32 where that is faster: 11 bits.
        let rounded = backend == Backend::Cuda;
        match self {
            Self::Bits => 0.0,
            Self::Outputs if rounded => 5e-3,
            Self::Gradients | Self::GeluGradients if rounded => 2e-2,
            Self::Outputs => 1e-5,
            Self::Gradients => 1e-4,
            Self::GeluGradients => 2e-3,
            Self::Steps => 1e-5,
            Self::Training => 1e-2,
            Self::Bf16 => 3e-2,
            Self::F16 => 1e-2,
        }
    }
}
