use burn_core::tensor::Device;

use crate::backend::Backend;
use crate::error::DeviceError;

/// The variable that names the device of a test or of a benchmark. Absent, it is Flex.
pub const DEVICE: &str = "BURN_GROW_DEVICE";

/// Opens the device that [`DEVICE`] names.
///
/// A device that is not there ends the process, with one sentence on standard error and the exit
/// code 2: this is for tests and benchmarks.
pub fn chosen() -> (Backend, Device) {
    let name = std::env::var(DEVICE).ok();
    match named(name.as_deref()) {
        Ok(found) => found,
        Err(error) => {
            use std::io::Write;
            // Not `eprintln!`: what a test prints with that is lost when it ends here.
            let _ = writeln!(std::io::stderr(), "{error}");
            std::process::exit(2)
        }
    }
}

fn named(name: Option<&str>) -> Result<(Backend, Device), DeviceError> {
    let backend = match name {
        None => Backend::default(),
        Some(name) => name.parse().map_err(|error| match error {
            DeviceError::Unknown { name, expected, .. } => DeviceError::Unknown {
                place: DEVICE.into(),
                name,
                expected,
            },
            other => other,
        })?,
    };
    Ok((backend, backend.open()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_flex_and_a_wrong_one_names_the_variable() {
        assert_eq!(named(None), Ok((Backend::Flex, Device::flex())));
        assert_eq!(named(Some("flex")), named(None));
        let error = named(Some("gpu")).expect_err("a mistake").to_string();
        assert!(error.starts_with("BURN_GROW_DEVICE is `gpu`: "), "{error}");
    }
}
