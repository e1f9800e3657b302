//! The device that tensors live on.

use std::panic::catch_unwind;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
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

    /// Opens the device, if it was compiled in and is there: it is asked to compute something.
    ///
    /// # Errors
    ///
    /// Names the feature that enables the device when it is off, and the reason that Burn gives
    /// when the device does not answer.
    pub fn open(self) -> Result<Device> {
        #[allow(
            unused_variables,
            reason = "used by the devices that are not compiled in"
        )]
        let missing = |name: &str| {
            anyhow::anyhow!("device `{name}` is not compiled in: build with `--features {name}`")
        };
        let open: fn() -> Device = match self {
            #[cfg(feature = "flex")]
            Self::Flex => Device::flex,
            #[cfg(not(feature = "flex"))]
            Self::Flex => return Err(missing("flex")),
            #[cfg(feature = "cuda")]
            Self::Cuda => || Device::cuda(0),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => return Err(missing("cuda")),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => || Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => return Err(missing("wgpu")),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => || Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(not(feature = "vulkan"))]
            Self::Vulkan => return Err(missing("vulkan")),
            #[cfg(feature = "tch")]
            Self::Tch => Device::libtorch,
            #[cfg(not(feature = "tch"))]
            Self::Tch => return Err(missing("tch")),
        };
        answering(self.name(), open)
    }
}

/// Opens a device and has it compute one number. Burn panics where a driver or a card is missing, on
/// this thread or on one of its own, and then on this one when the number is asked for.
///
/// # Errors
///
/// When the device cannot be opened, or does not compute.
fn answering(name: &str, open: fn() -> Device) -> Result<Device> {
    let answer = catch_unwind(|| {
        let device = open();
        let one = Tensor::<1>::ones([1], &device) + 1.0;
        let two = one.try_into_scalar::<f32>();
        two.map(|two| (device, two))
            .map_err(|error| error.to_string())
    });
    let reason = match answer {
        Ok(Ok((device, 2.0))) => return Ok(device),
        Ok(Ok((_, two))) => format!("it computes 1 + 1 = {two}"),
        Ok(Err(error)) => error,
        Err(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(message), _) => message.clone(),
            (None, Some(message)) => (*message).to_owned(),
            (None, None) => "Burn panicked".to_owned(),
        },
    };
    anyhow::bail!(
        "device `{name}` cannot be used: is there one, with its driver? Burn says: {reason}"
    )
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_an_error_and_no_panic() {
        for (open, reason) in [
            (
                (|| panic!("no CUDA-capable device")) as fn() -> Device,
                "no CUDA-capable device",
            ),
            (|| panic!("{}", String::from("RecvError")), "RecvError"),
        ] {
            let error = answering("cuda", open).expect_err("not there").to_string();
            assert!(error.starts_with("device `cuda` cannot be used"), "{error}");
            assert!(error.ends_with(reason), "{error}");
        }
        for backend in Backend::value_variants() {
            if cfg!(feature = "flex") && *backend == Backend::Flex {
                assert!(backend.open().is_ok());
            }
        }
    }

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
