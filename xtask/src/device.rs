use clap::ValueEnum;

/// A device of Burn; its name is that of the feature which builds it in.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Device {
    Flex,
    Cuda,
    Vulkan,
    Wgpu,
    Tch,
}

impl Device {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Tch => "tch",
        }
    }
}

/// The variable that tells a test or a benchmark its device.
pub(crate) const DEVICE: &str = "BURN_GROW_DEVICE";
