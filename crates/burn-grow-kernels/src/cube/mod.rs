//! Routing and experts on graphics cards, as CubeCL kernels.
//!
//! The experts of every token are chosen on the device ([`choose`]), their slots are put in the
//! order of the experts there ([`group`]), and every expert multiplies exactly its rows
//! ([`product`]): a forward or backward pass never waits to learn how many there are. Everything
//! else is left to Burn's operations, which it fuses.
//!
//! No kernel adds floats in an order that depends on time, so results repeat bit for bit.

mod choose;
mod experts;
mod extension;
mod form;
mod fragments;
mod group;
mod groups;
mod product;
#[cfg(all(test, feature = "flex"))]
mod tests;
mod tile;
mod units;

use burn_core::backend::DispatchDevice;
use burn_core::tensor::{DType, Device, Tensor};

pub(crate) use experts::experts;
pub(crate) use groups::Groups;

use crate::op::below_tape;

/// True if the kernels run on `device`, which is below the tape: CubeCL has it, and its cubes are
/// large enough.
pub(crate) fn runs_on(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => {
            device.client().properties().hardware.max_units_per_cube as usize >= tile::UNITS
        }
        _ => false,
    }
}

/// True if the kernels can take the place of the tensor API for `x`: `f32`, `f16` or `bf16`, on the
/// tape or off it, without gradient checkpointing.
pub(crate) fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    let float = matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16);
    float && below_tape(&x.device()).is_some_and(|device| runs_on(&device))
}
