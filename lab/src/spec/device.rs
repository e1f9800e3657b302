//! The device that tensors live on.

use anyhow::Result;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// Where the tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The processor.
    #[default]
    Flex,
    /// A CUDA device.
    Cuda,
    /// A graphics device, on whichever interface is there.
    Wgpu,
    /// A graphics device, on Vulkan.
    Vulkan,
    /// The processor, by libtorch.
    Tch,
}

impl Backend {
    /// Gives the name of the setting's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Tch => "tch",
        }
    }

    /// Opens the device, if it was compiled in.
    ///
    /// # Errors
    ///
    /// Names the feature that enables the device when it is off.
    pub fn open(self) -> Result<Device> {
        #[allow(
            unused_variables,
            reason = "used by the devices that are not compiled in"
        )]
        let missing = |name: &str| {
            anyhow::anyhow!("device `{name}` is not compiled in: build with `--features {name}`")
        };
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Ok(Device::flex()),
            #[cfg(not(feature = "flex"))]
            Self::Flex => Err(missing("flex")),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Err(missing("cuda")),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => Err(missing("wgpu")),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(feature = "vulkan"))]
            Self::Vulkan => Err(missing("vulkan")),
            #[cfg(feature = "tch")]
            Self::Tch => Ok(Device::libtorch()),
            #[cfg(not(feature = "tch"))]
            Self::Tch => Err(missing("tch")),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_device_that_is_not_compiled_in_names_its_feature() {
        let features = [
            (Backend::Flex, cfg!(feature = "flex"), "flex"),
            (Backend::Cuda, cfg!(feature = "cuda"), "cuda"),
            (Backend::Wgpu, cfg!(feature = "wgpu"), "wgpu"),
            (Backend::Vulkan, cfg!(feature = "vulkan"), "vulkan"),
            (Backend::Tch, cfg!(feature = "tch"), "tch"),
        ];
        assert_eq!(features.len(), Backend::value_variants().len());
        for (backend, compiled, feature) in features {
            if !compiled {
                let error = backend.open().expect_err("not there").to_string();
                assert!(error.contains(&format!("--features {feature}")), "{error}");
            }
        }
    }
}
