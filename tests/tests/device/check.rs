use burn::tensor::Device;
use device::Backend;

use crate::findings::Findings;

/// Where a check computes.
pub(crate) struct On {
    pub(crate) backend: Backend,
    pub(crate) device: Device,
    /// Two of the kind, which are the same one where there is one only.
    pub(crate) two: [Device; 2],
}

impl On {
    /// The processor, where what is expected is computed.
    pub(crate) fn flex() -> Self {
        Self {
            backend: Backend::Flex,
            device: Device::flex(),
            two: [Device::flex(), Device::flex()],
        }
    }

    /// The device, with gradients.
    pub(crate) fn autodiff(&self) -> Device {
        self.device.clone().autodiff()
    }
}

/// Numbers that a device computes and that are compared with those of Flex.
///
/// What has to hold on the device by itself, `run` asserts.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// Whether it is one of the few that a software driver gets through in minutes.
    pub(crate) short: bool,
    pub(crate) run: fn(&On, &mut Findings),
}
