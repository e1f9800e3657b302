use std::str::FromStr;
use std::sync::OnceLock;

use burn_core::tensor::{Device, DeviceType};
use serde::{Deserialize, Serialize};

use crate::error::DeviceError;
use crate::probe::answering;

/// Where the tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
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

/// The way to one device, and to all of its kind.
struct Way {
    open: fn() -> Device,
    kind: DeviceType,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Flex, Self::Cuda, Self::Wgpu, Self::Vulkan, Self::Tch];

    /// Gives its name, which is that of its feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Tch => "tch",
        }
    }

    /// Opens the device, if it was compiled in and is there: once a process it is asked to compute
    /// something.
    ///
    /// # Errors
    ///
    /// Names the feature that enables the device when it is off, and the reason that Burn gives
    /// when the device does not answer.
    pub fn open(self) -> Result<Device, DeviceError> {
        static OPENED: [OnceLock<Result<Device, DeviceError>>; Backend::ALL.len()] =
            [const { OnceLock::new() }; Backend::ALL.len()];
        let way = self.way()?;
        let opened = OPENED[self as usize].get_or_init(|| answering(self.interface(), way.open));
        opened.clone()
    }

    /// Opens two devices of the kind, for replicas: the same one twice where there is one only.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_two(self) -> Result<[Device; 2], DeviceError> {
        let one = self.open()?;
        let all = Device::enumerate(self.way()?.kind).into_vec();
        Ok(match <[Device; 2]>::try_from(all) {
            Ok(two) => two,
            Err(all) => match all.into_iter().nth(1) {
                Some(second) => [one, second],
                None => [one.clone(), one],
            },
        })
    }

    /// The name of what it is reached by, as people write it.
    fn interface(self) -> &'static str {
        match self {
            Self::Flex => "Flex",
            Self::Cuda => "CUDA",
            Self::Wgpu => "WebGPU",
            Self::Vulkan => "Vulkan",
            Self::Tch => "LibTorch",
        }
    }

    /// The way to it, if it is compiled in.
    fn way(self) -> Result<Way, DeviceError> {
        match self {
            Self::Flex => Ok(Way {
                open: Device::flex,
                kind: DeviceType::Flex,
            }),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Way {
                open: || Device::cuda(0),
                kind: DeviceType::Cuda,
            }),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Way {
                open: || Device::wgpu(burn_core::tensor::DeviceKind::DefaultDevice),
                kind: DeviceType::Wgpu,
            }),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Way {
                open: || Device::vulkan(burn_core::tensor::DeviceKind::DefaultDevice),
                kind: DeviceType::Vulkan,
            }),
            #[cfg(feature = "tch")]
            Self::Tch => Ok(Way {
                open: Device::libtorch,
                kind: DeviceType::LibTorch,
            }),
            #[allow(unreachable_patterns, reason = "there are none with every feature on")]
            other => Err(DeviceError::NotCompiled { name: other.name() }),
        }
    }
}

impl FromStr for Backend {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let found = Self::ALL.into_iter().find(|backend| backend.name() == name);
        found.ok_or_else(|| DeviceError::Unknown {
            place: "the device".into(),
            name: name.into(),
            expected: Self::ALL.map(Self::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flex_is_always_there() {
        assert_eq!(Backend::Flex.open(), Ok(Device::flex()));
        let two = Backend::Flex.open_two().expect("flex");
        assert_eq!(two, [Device::flex(), Device::flex()]);
    }

    #[test]
    fn a_device_that_is_not_compiled_in_names_its_feature() {
        let compiled = [
            true,
            cfg!(feature = "cuda"),
            cfg!(feature = "wgpu"),
            cfg!(feature = "vulkan"),
            cfg!(feature = "tch"),
        ];
        for (backend, compiled) in Backend::ALL.into_iter().zip(compiled) {
            let name = backend.name();
            assert_eq!(name.parse(), Ok(backend));
            if !compiled {
                let error = backend.open().expect_err("not there");
                assert_eq!(error, DeviceError::NotCompiled { name });
                assert!(error.to_string().ends_with(&format!("--features {name}`")));
            }
        }
    }

    #[test]
    fn a_name_of_no_device_is_an_error_that_lists_them() {
        let error = "cud".parse::<Backend>().expect_err("a mistake");
        let expected = "the device is `cud`: expected one of flex, cuda, wgpu, vulkan, tch";
        assert_eq!(error.to_string(), expected);
    }
}
