//! The most probable experts of every token, chosen on the device.

use burn_core::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

/// The key of the smallest `f32`, which NaN and minus infinity share.
const LOWEST: u32 = 0x0080_0001;

/// Maps numbers to integers in their order; both zeros are equal, NaN is the smallest number.
///
/// Devices may round subnormal numbers to zero and need not know NaN; integers are compared
/// alike everywhere.
#[cube]
fn key(value: f32) -> u32 {
    let bits = u32::reinterpret(value);
    let magnitude = bits & 0x7fff_ffffu32;
    let mut key = 0x8000_0000u32 + magnitude;
    if bits != magnitude {
        key = 0x8000_0000u32 - magnitude;
    }
    if magnitude > 0x7f80_0000u32 || key < LOWEST {
        key = LOWEST;
    }
    key
}

/// A unit chooses for one token: each time the first of the largest keys that come after the
/// choice before, in descending order of keys and ascending order of experts.
#[cube(launch)]
fn choose_kernel(probabilities: &[f32], experts: &mut [i32], n_experts: u32, top_k: u32) {
    let token = ABSOLUTE_POS as u32;
    if (token * top_k) as usize >= experts.len() {
        terminate!();
    }
    let first = token * n_experts;
    let mut last_key = 0xffff_ffffu32.runtime();
    let mut last = 0u32.runtime();
    for choice in 0..top_k {
        let mut best_key = 0u32.runtime();
        let mut best = 0u32.runtime();
        for expert in 0..n_experts {
            let key = key(probabilities[(first + expert) as usize]);
            let left = key < last_key || (key == last_key && expert > last);
            if left && key > best_key {
                best_key = key;
                best = expert;
            }
        }
        experts[(token * top_k + choice) as usize] = best as i32;
        last_key = best_key;
        last = best;
    }
}

/// Chooses the experts of every token, `[tokens, top_k]`, from `[tokens, n_experts]`
/// probabilities in `f32`.
pub(super) fn choose(probabilities: CubeTensor, top_k: usize) -> CubeTensor {
    let probabilities = into_contiguous(probabilities);
    let [tokens, n_experts] = probabilities.meta.shape().dims();
    let client = probabilities.client.clone();
    let experts = empty_device_contiguous_dtype(
        client.clone(),
        probabilities.device.clone(),
        Shape::new([tokens, top_k]),
        DType::I32,
    );
    let dim = CubeDim::new(&client, tokens);
    choose_kernel::launch(
        &client,
        calculate_cube_count_elemwise(&client, tokens, dim),
        dim,
        probabilities.into_buffer_arg(),
        experts.clone().into_buffer_arg(),
        n_experts as u32,
        top_k as u32,
    );
    experts
}
