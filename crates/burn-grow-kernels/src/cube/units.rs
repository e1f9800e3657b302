//! Products whose sums lie in the registers of single units.

use cubecl::prelude::*;

use super::tile::{Block, Plan, load_terms, place, write};

/// The units of a cube along each side of its tile.
pub(super) const EDGE: usize = 16;

/// The sides that a tile can have.
pub(super) const SIDES: [usize; 3] = [EDGE, 4 * EDGE, 8 * EDGE];

/// The terms of the sums that a cube holds at once.
pub(super) const DEPTH: usize = 16;

/// The units of a cube: a square of them.
pub(super) fn cube_dim() -> CubeDim {
    CubeDim::new_2d(EDGE as u32, EDGE as u32)
}

/// A cube computes a tile of the output. Its units hold `edge` times `edge` sums each in registers,
/// [`EDGE`] apart: neighbouring units read and write neighbouring numbers.
#[cube(launch)]
pub(super) fn units_kernel<F: Float, N: Size>(
    lhs: &Tensor<Vector<F, N>>,
    rhs: &Tensor<Vector<F, N>>,
    starts: &[i32],
    out: &mut Tensor<F>,
    #[comptime] plan: Plan,
    #[comptime] edge: usize,
    #[define(F)] _dtype: ElemType,
) {
    let mut left = Shared::<[Vector<F, N>]>::new_slice(comptime!(plan.left.length()));
    let mut right = Shared::<[Vector<F, N>]>::new_slice(comptime!(plan.right.length()));
    let place = place(lhs, starts, &*out, plan);
    if place.row >= place.rows {
        terminate!();
    }
    let mut sums = Array::<f32>::new(comptime!(edge * edge));
    #[unroll]
    for i in 0..comptime!(edge * edge) {
        sums[i] = 0.0;
    }
    let unit_row = UNIT_POS_Y as usize;
    let unit_column = UNIT_POS_X as usize;
    let depth = comptime!(plan.depth);
    let steps = place.terms.div_ceil(depth);
    for step in 0..steps {
        let begin = step * depth;
        load_terms(lhs, rhs, &mut left, &mut right, &place, begin, plan, 1usize);
        sync_cube();
        for term in 0..depth {
            let mut a = Array::<f32>::new(edge);
            let mut b = Array::<f32>::new(edge);
            #[unroll]
            for i in 0..edge {
                let row = unit_row + i * EDGE;
                let column = unit_column + i * EDGE;
                a[i] = number(&left, term, row, comptime!(plan.left));
                b[i] = number(&right, term, column, comptime!(plan.right));
            }
            #[unroll]
            for i in 0..edge {
                #[unroll]
                for j in 0..edge {
                    sums[comptime!(i * edge + j)] += a[i] * b[j];
                }
            }
        }
        sync_cube();
    }
    #[unroll]
    for i in 0..edge {
        #[unroll]
        for j in 0..edge {
            let row = unit_row + i * EDGE;
            let column = unit_column + j * EDGE;
            write(
                out,
                &place,
                row,
                column,
                sums[comptime!(i * edge + j)],
                plan,
            );
        }
    }
}

/// A number of a block that holds single numbers.
#[cube]
fn number<F: Float, N: Size>(
    block: &Shared<[Vector<F, N>]>,
    term: usize,
    across: usize,
    #[comptime] shape: Block,
) -> f32 {
    let pitch = comptime!(shape.pitch);
    if comptime!(shape.along) {
        f32::cast_from(block[across * pitch + term].extract(0usize))
    } else {
        f32::cast_from(block[term * pitch + across].extract(0usize))
    }
}
