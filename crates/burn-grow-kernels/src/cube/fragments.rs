//! Products on matrix units, for half precision where the device has them.

use burn_core::backend::cubecl::dtype_to_storage_type;
use burn_core::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::cmma::{self, Matrix, MatrixIdent, MatrixLayout};
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use super::tile::{Block, Plan, UNITS, load_terms, place, write};

/// The edge of a fragment.
const EDGE: usize = 16;

/// The units of a plane, which compute a fragment together.
const PLANE: usize = 32;

/// The planes of a cube, above each other and side by side.
const PLANES: [usize; 2] = [4, 2];

/// The sides that a tile can have.
pub(super) const SIDES: [usize; 2] = [64, 128];

/// The terms of the sums that a cube holds at once.
pub(super) const DEPTH: usize = 32;

/// The numbers that a unit loads at once: 16 bytes.
pub(super) const VECTOR: usize = 8;

/// True if `client` multiplies fragments of `dtype` and adds them in `f32`.
fn has_fragments(client: &Client, dtype: DType) -> bool {
    let elem = dtype_to_storage_type(dtype);
    let hardware = &client.properties().hardware;
    let planes = [hardware.plane_size_min, hardware.plane_size_max];
    let edge = EDGE as u32;
    let fragments = &client.properties().features.matmul.cmma;
    planes == [PLANE as u32; 2]
        && matches!(dtype, DType::F16 | DType::BF16)
        && fragments.iter().any(|it| {
            [it.a_type, it.b_type] == [elem; 2]
                && it.cd_type == ElemType::Float(FloatKind::F32)
                && [it.m, it.n, it.k] == [edge; 3]
        })
}

/// True if lines of `tensor` can be loaded [`VECTOR`] numbers at once.
fn is_aligned(tensor: &CubeTensor) -> bool {
    let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
    let rank = shape.num_dims();
    let start = tensor.handle.offset_start.unwrap_or(0) as usize;
    let mut sizes = strides[..rank - 1].iter().chain([&shape[rank - 1]]);
    sizes.all(|size| size.is_multiple_of(VECTOR))
        && start.is_multiple_of(VECTOR * tensor.dtype.size())
}

/// True if [`fragments_kernel`] can multiply `lhs` and `rhs`.
pub(super) fn fit(lhs: &CubeTensor, rhs: &CubeTensor) -> bool {
    lhs.dtype == rhs.dtype
        && has_fragments(&lhs.client, lhs.dtype)
        && is_aligned(lhs)
        && is_aligned(rhs)
}

/// The units of a cube: planes of [`PLANE`].
pub(super) fn cube_dim() -> CubeDim {
    CubeDim::new_2d(PLANE as u32, (UNITS / PLANE) as u32)
}

/// A cube computes a tile of the output, its planes an equal part each, in fragments of [`EDGE`]
/// times [`EDGE`] numbers. Sums are in `f32`.
#[cube(launch)]
pub(super) fn fragments_kernel<F: Float, N: Size>(
    lhs: &Tensor<Vector<F, N>>,
    rhs: &Tensor<Vector<F, N>>,
    starts: &[i32],
    out: &mut Tensor<F>,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    // Matrix units load from multiples of 32 bytes.
    let length = comptime!(plan.left.length() / VECTOR);
    let mut left = Shared::<[Vector<F, N>]>::new_aligned_slice(length, 32usize);
    let length = comptime!(plan.right.length() / VECTOR);
    let mut right = Shared::<[Vector<F, N>]>::new_aligned_slice(length, 32usize);
    let mut landing =
        Shared::<[f32]>::new_aligned_slice(comptime!(UNITS / PLANE * EDGE * EDGE), 32usize);
    let place = place(lhs, starts, &*out, plan);
    if place.row >= place.rows {
        terminate!();
    }

    let high = comptime!(plan.side / PLANES[0] / EDGE);
    let wide = comptime!(plan.side / PLANES[1] / EDGE);
    let plane = UNIT_POS_Y as usize;
    let first_row = plane / comptime!(PLANES[1]) * comptime!(high * EDGE);
    let first_column = plane % comptime!(PLANES[1]) * comptime!(wide * EDGE);
    let mut sums = Sequence::<Matrix<f32>>::new();
    #[unroll]
    for _ in 0..comptime!(high * wide) {
        sums.push(Matrix::<f32>::from_value(
            MatrixIdent::Accumulator,
            EDGE,
            EDGE,
            EDGE,
            MatrixLayout::Undefined,
            0.0,
        ));
    }

    let depth = comptime!(plan.depth);
    let steps = place.terms.div_ceil(depth);
    for step in 0..steps {
        let begin = step * depth;
        load_terms(lhs, rhs, &mut left, &mut right, &place, begin, plan, VECTOR);
        sync_cube();
        #[unroll]
        for part in 0..comptime!(depth / EDGE) {
            let term = comptime!(part * EDGE);
            let mut columns = Sequence::<Matrix<Vector<F, N>>>::new();
            #[unroll]
            for j in 0..wide {
                let column = first_column + comptime!(j * EDGE);
                let from = offset(term, column, comptime!(plan.right));
                columns.push(Matrix::<Vector<F, N>>::from_slice(
                    MatrixIdent::B,
                    EDGE,
                    EDGE,
                    EDGE,
                    comptime!(if plan.right.along {
                        MatrixLayout::ColMajor
                    } else {
                        MatrixLayout::RowMajor
                    }),
                    &right[from..comptime!(plan.right.length() / VECTOR)],
                    comptime!(plan.right.pitch as u32),
                ));
            }
            #[unroll]
            for i in 0..high {
                let row = first_row + comptime!(i * EDGE);
                let from = offset(term, row, comptime!(plan.left));
                let rows = Matrix::<Vector<F, N>>::from_slice(
                    MatrixIdent::A,
                    EDGE,
                    EDGE,
                    EDGE,
                    comptime!(if plan.left.along {
                        MatrixLayout::RowMajor
                    } else {
                        MatrixLayout::ColMajor
                    }),
                    &left[from..comptime!(plan.left.length() / VECTOR)],
                    comptime!(plan.left.pitch as u32),
                );
                #[unroll]
                for j in 0..wide {
                    let sum = &sums[comptime!(i * wide + j)];
                    cmma::execute(&rows, &columns[j], sum, sum);
                }
            }
        }
        sync_cube();
    }

    // Only the device knows which unit holds which number of a fragment, so it lands in shared
    // memory before it is written.
    let from = plane * comptime!(EDGE * EDGE);
    #[unroll]
    for i in 0..high {
        #[unroll]
        for j in 0..wide {
            cmma::store(
                &mut landing[from..from + comptime!(EDGE * EDGE)],
                &sums[comptime!(i * wide + j)],
                comptime!(EDGE as u32),
                MatrixLayout::RowMajor,
            );
            sync_cube();
            #[unroll]
            for turn in 0..comptime!(EDGE * EDGE / PLANE) {
                let at = turn * PLANE + UNIT_POS_X as usize;
                let row = first_row + comptime!(i * EDGE) + at / EDGE;
                let column = first_column + comptime!(j * EDGE) + at % EDGE;
                write(out, &place, row, column, landing[from + at], plan);
            }
            sync_cube();
        }
    }
}

/// Where the fragment with the first term `term` and the first row or column `across` starts.
#[cube]
fn offset(term: usize, across: usize, #[comptime] shape: Block) -> usize {
    let pitch = comptime!(shape.pitch);
    if comptime!(shape.along) {
        (across * pitch + term) / VECTOR
    } else {
        (term * pitch + across) / VECTOR
    }
}
