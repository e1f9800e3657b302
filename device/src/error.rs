use thiserror::Error;

/// Why there is no device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error("{place} is `{name}`: expected one of {expected}")]
    Unknown {
        /// Where the name was given.
        place: String,
        /// The name.
        name: String,
        /// The names there are.
        expected: String,
    },
    /// The feature of the device is off.
    #[error("device `{name}` is not compiled in: build with `--features {name}`")]
    NotCompiled {
        /// The name of the device and of its feature.
        name: &'static str,
    },
    /// The device cannot be opened, or does not compute.
    #[error("no {interface} device: {reason}")]
    NotThere {
        /// What the device is reached by.
        interface: &'static str,
        /// What Burn says.
        reason: String,
    },
}
