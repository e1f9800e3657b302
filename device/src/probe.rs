use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};

use burn_core::tensor::{Device, Tensor};

use crate::error::DeviceError;
use crate::panic::message;

/// Opens a device and has it compute one number.
///
/// Burn panics where a driver or a card is missing: on this thread, or on one of its own and then
/// on this one when the number is asked for. The first panic has the reason, so panics are listened
/// to, and not printed, until the device has answered.
///
/// # Errors
///
/// When the device cannot be opened, or does not compute.
pub(crate) fn answering(
    interface: &'static str,
    open: fn() -> Device,
) -> Result<Device, DeviceError> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let first: Arc<Mutex<Option<String>>> = Arc::default();
    let printed = take_hook();
    let heard = first.clone();
    set_hook(Box::new(move |panic| {
        let mut first = heard.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| message(panic.payload()));
    }));
    let answer = catch_unwind(|| {
        let device = open();
        let one = Tensor::<1>::ones([1], &device) + 1.0;
        let two = one.try_into_scalar::<f32>();
        two.map(|two| (device, two))
            .map_err(|error| error.to_string())
    });
    set_hook(printed);
    let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
    let reason = match answer {
        Ok(Ok((device, 2.0))) => return Ok(device),
        Ok(Ok((_, two))) => format!("it computes 1 + 1 = {two}"),
        Ok(Err(error)) => first.unwrap_or(error),
        Err(panic) => first.unwrap_or_else(|| message(&*panic)),
    };
    // Some messages have several lines.
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(DeviceError::NotThere { interface, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_an_error_and_no_panic() {
        for (open, reason) in [
            (
                (|| panic!("no CUDA-capable\n  device")) as fn() -> Device,
                "no CUDA-capable device",
            ),
            (|| panic!("{}", String::from("RecvError")), "RecvError"),
            (
                || {
                    let server = std::thread::spawn(|| panic!("no driver"));
                    server.join().expect("RecvError");
                    Device::flex()
                },
                "no driver",
            ),
        ] {
            let error = answering("CUDA", open).expect_err("not there").to_string();
            assert_eq!(error, format!("no CUDA device: {reason}"));
        }
    }
}
