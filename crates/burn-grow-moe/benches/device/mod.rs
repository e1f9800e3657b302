//! The device that a benchmark runs on: `BURN_GROW_DEVICE`, or Flex.

use burn::tensor::Device;

/// Its name, and the device.
///
/// Panics if it was not compiled in: `cargo xtask bench --device` enables the feature of its name.
pub(crate) fn chosen() -> (String, Device) {
    let name = std::env::var("BURN_GROW_DEVICE").unwrap_or_else(|_| "flex".into());
    let device = match name.as_str() {
        "flex" => Device::flex(),
        #[cfg(feature = "cuda")]
        "cuda" => Device::cuda(0),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        other => panic!("this build has no device `{other}`"),
    };
    (name, device)
}
