use std::sync::{Mutex, PoisonError};

use burn_core::module::{Module, ModuleVisitor, Param};
use burn_core::tensor::{Device, Tensor};

/// Makes the model of a seed on `device`: the same bits on every device, whoever asks and when.
///
/// Every device has a generator of its own. So `make` gets the host, Flex, with gradients if
/// `device` has them; all parameters are drawn there, in their order, and then moved.
///
/// # Errors
///
/// Those of `make`.
pub fn initial<M: Module, E>(
    seed: u64,
    device: &Device,
    make: impl FnOnce(&Device) -> Result<M, E>,
) -> Result<M, E> {
    // All threads share one generator, and parameters are initialized when first looked at.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if device.clone().without_autodiff() == Device::flex() {
        return drawn(seed, device, make);
    }
    let host = match device.is_autodiff() {
        true => Device::flex().autodiff(),
        false => Device::flex(),
    };
    Ok(drawn(seed, &host, make)?.fork(device))
}

fn drawn<M: Module, E>(
    seed: u64,
    device: &Device,
    make: impl FnOnce(&Device) -> Result<M, E>,
) -> Result<M, E> {
    device.seed(seed);
    let model = make(device)?;
    model.visit(&mut Look);
    Ok(model)
}

struct Look;

impl ModuleVisitor for Look {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _ = param.val();
    }
}
