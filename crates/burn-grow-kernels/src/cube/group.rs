//! The slots of a batch put in the order of their experts, on the device.

use burn_core::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// The units of a cube.
const UNITS: usize = 256;

/// The neighbouring slots that a unit looks at in one go.
const SLOTS: usize = 8;

/// A cube finds the slots of one expert.
///
/// First its units count the slots of this expert and of those before it, which says where its
/// rows start. Then they go through the slots in order, a piece of [`UNITS`] times [`SLOTS`] at
/// once: a unit counts its slots, sums over the units before it say where they go.
#[cube(launch)]
fn group_kernel(
    experts: &[i32],
    load: &mut [i32],
    starts: &mut [i32],
    order: &mut [i32],
    rows: &mut [i32],
    slots: u32,
) {
    let unit = UNIT_POS as usize;
    let expert = CUBE_POS as i32;
    let units = comptime!(UNITS as u32);
    let piece = comptime!((UNITS * SLOTS) as u32);
    let mut sums = Shared::<[u32]>::new_slice(comptime!(2 * UNITS));
    let mut seen = Shared::<[i32]>::new_slice(comptime!(UNITS * SLOTS));

    let mut before = 0u32.runtime();
    let mut equal = 0u32.runtime();
    let mut slot = UNIT_POS;
    while slot < slots {
        let found = experts[slot as usize];
        if found < expert {
            before += 1;
        } else if found == expert {
            equal += 1;
        }
        slot += units;
    }
    sums[unit] = before;
    sums[UNITS + unit] = equal;
    sync_cube();
    let mut reach = comptime!(UNITS / 2).runtime();
    while reach > 0 {
        if unit < reach {
            sums[unit] += sums[unit + reach];
            sums[UNITS + unit] += sums[UNITS + unit + reach];
        }
        sync_cube();
        reach /= 2;
    }
    let mut next = sums[0];
    let total = sums[UNITS];
    sync_cube();
    if unit == 0 {
        load[expert as usize] = total as i32;
        starts[expert as usize] = next as i32;
        if expert as usize + 1 == load.len() {
            starts[expert as usize + 1] = (next + total) as i32;
        }
    }

    let pieces = slots.div_ceil(piece);
    for index in 0..pieces {
        let first = index * piece;
        #[unroll]
        for i in 0..SLOTS {
            let place = i * UNITS + unit;
            let slot = first + place as u32;
            let mut found = (-1i32).runtime();
            if slot < slots {
                found = experts[slot as usize];
            }
            seen[place] = found;
        }
        sync_cube();
        let mut count = 0u32.runtime();
        #[unroll]
        for i in 0..SLOTS {
            if seen[unit * SLOTS + i] == expert {
                count += 1;
            }
        }
        sums[unit] = count;
        sync_cube();
        // Inclusive sums: each round over twice as many units, from half to half of `sums`.
        let mut from = 0usize.runtime();
        let mut reach = 1usize.runtime();
        while reach < UNITS {
            let mut sum = sums[from + unit];
            if unit >= reach {
                sum += sums[from + unit - reach];
            }
            from = UNITS - from;
            sums[from + unit] = sum;
            sync_cube();
            reach *= 2;
        }
        let mut row = next + sums[from + unit] - count;
        next += sums[from + UNITS - 1];
        #[unroll]
        for i in 0..SLOTS {
            if seen[unit * SLOTS + i] == expert {
                let slot = first + (unit * SLOTS + i) as u32;
                order[row as usize] = slot as i32;
                rows[slot as usize] = row as i32;
                row += 1;
            }
        }
        sync_cube();
    }
}

/// Puts the slots of `[tokens, top_k]` experts in the order of their experts, and in their own
/// order within each.
///
/// Returns the number of slots of each expert, `[n_experts]`; where its rows start, and the number
/// of rows in the end, `[n_experts + 1]`; the slot of each row and the row of each slot, `[slots]`.
pub(super) fn group(experts: CubeTensor, n_experts: usize) -> [CubeTensor; 4] {
    let experts = into_contiguous(experts);
    let slots = experts.meta.num_elements();
    let client = experts.client.clone();
    let empty = |count| {
        let shape = Shape::new([count]);
        let device = experts.device.clone();
        empty_device_contiguous_dtype(client.clone(), device, shape, DType::I32)
    };
    let groups = [n_experts, n_experts + 1, slots, slots].map(empty);
    let [load, starts, order, rows] = groups.clone();
    group_kernel::launch(
        &client,
        CubeCount::Static(n_experts as u32, 1, 1),
        CubeDim::new_1d(UNITS as u32),
        experts.into_buffer_arg(),
        load.into_buffer_arg(),
        starts.into_buffer_arg(),
        order.into_buffer_arg(),
        rows.into_buffer_arg(),
        slots as u32,
    );
    groups
}
