//! The part of a product that one cube computes: where it lies, what it reads, what it writes.

use cubecl::prelude::*;

use super::form::Form;

/// The units of a cube.
pub(super) const UNITS: usize = 256;

/// A rectangle of numbers in shared memory: lines that are contiguous in the tensor, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Block {
    /// The numbers of a line.
    pub width: usize,
    /// From one line to the next.
    pub pitch: usize,
    /// The numbers of all lines.
    pub size: usize,
    /// True if a line holds the terms of a sum, false if it holds one term of many sums.
    pub along: bool,
}

impl Block {
    /// `depth` terms of `side` sums, with some words between lines that keep them off one bank.
    fn new(along: bool, side: usize, depth: usize, apart: usize) -> Self {
        let (width, height) = if along { (depth, side) } else { (side, depth) };
        Self {
            width,
            pitch: width + apart,
            size: width * height,
            along,
        }
    }

    /// The length of the shared memory.
    pub(super) fn length(&self) -> usize {
        self.size / self.width * self.pitch
    }
}

/// How a cube computes a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    pub form: Form,
    /// The width and height of the tile.
    pub side: usize,
    pub left: Block,
    pub right: Block,
    pub depth: usize,
}

impl Plan {
    pub(super) fn new(form: Form, side: usize, depth: usize, apart: usize) -> Self {
        Self {
            form,
            side,
            left: Block::new(form != Form::PerExpert, side, depth, apart),
            right: Block::new(form == Form::Transposed, side, depth, apart),
            depth,
        }
    }
}

/// Where a cube's tile lies.
#[derive(CubeType)]
pub(super) struct Place {
    pub expert: usize,
    /// The first row of the output.
    pub row: usize,
    /// The end of the rows.
    pub rows: usize,
    /// The first column of the output.
    pub column: usize,
    /// The end of the columns.
    pub columns: usize,
    /// The first row of the inputs that the sum goes over, if it goes over rows.
    pub first: usize,
    /// The number of terms of the sum.
    pub terms: usize,
}

/// Finds the tile of this cube. Its rows may be none.
#[cube]
pub(super) fn place<F: Float, N: Size>(
    lhs: &Tensor<Vector<F, N>>,
    starts: &[i32],
    out: &Tensor<F>,
    #[comptime] plan: Plan,
) -> Place {
    let side = comptime!(plan.side);
    let per_expert = comptime!(plan.form == Form::PerExpert);
    let rank = comptime!(if per_expert { 3usize } else { 2usize });
    let mut expert = CUBE_POS_Z as usize;
    let mut row = CUBE_POS_Y as usize * side;
    let mut rows = out.shape(comptime!(rank - 2));
    let mut first = 0usize.runtime();
    let mut terms = lhs.shape(1);
    if comptime!(per_expert) {
        first = starts[expert] as usize;
        terms = starts[expert + 1] as usize - first;
    } else {
        let tile = CUBE_POS_Y as usize;
        expert = expert_of(tile, starts, side);
        let start = starts[expert] as usize;
        row = start + (tile - start / side - expert) * side;
        rows = starts[expert + 1] as usize;
    }
    Place {
        expert,
        row,
        rows,
        column: CUBE_POS_X as usize * side,
        columns: out.shape(comptime!(rank - 1)),
        first,
        terms,
    }
}

/// Loads a block of a matrix that begins at `matrix`: of the sums from `sum` on, of which `sums`
/// exist, the terms from `term` on, of which `terms` exist.
#[cube]
fn load<F: Float, N: Size>(
    source: &Tensor<Vector<F, N>>,
    block: &mut Shared<[Vector<F, N>]>,
    matrix: usize,
    pitch: usize,
    sum: usize,
    sums: usize,
    term: usize,
    terms: usize,
    #[comptime] shape: Block,
    #[comptime] vector: usize,
) {
    let mut start = matrix + term * pitch + sum;
    let mut lines = terms;
    let mut numbers = sums;
    if comptime!(shape.along) {
        start = matrix + sum * pitch + term;
        lines = sums;
        numbers = terms;
    }
    let (width, apart) = comptime!((shape.width / vector, shape.pitch / vector));
    let turns = comptime!(shape.size / vector / UNITS);
    #[unroll]
    for turn in 0..turns {
        let place = turn * UNITS + UNIT_POS as usize;
        let line = place / width;
        let across = place % width;
        let mut value = Vector::<F, N>::new(F::new(0.0));
        if line < lines && across * vector < numbers {
            value = source[(start + line * pitch) / vector + across];
        }
        block[line * apart + across] = value;
    }
}

/// Loads the terms from `begin` on, of both sides.
#[cube]
pub(super) fn load_terms<F: Float, N: Size>(
    lhs: &Tensor<Vector<F, N>>,
    rhs: &Tensor<Vector<F, N>>,
    left: &mut Shared<[Vector<F, N>]>,
    right: &mut Shared<[Vector<F, N>]>,
    place: &Place,
    begin: usize,
    #[comptime] plan: Plan,
    #[comptime] vector: usize,
) {
    let (term, terms) = (place.first + begin, place.terms - begin);
    let (rows, columns) = (place.rows - place.row, place.columns - place.column);
    load(
        lhs,
        left,
        0usize.runtime(),
        lhs.stride(0),
        place.row,
        rows,
        term,
        terms,
        comptime!(plan.left),
        vector,
    );
    let mut matrix = 0usize.runtime();
    let mut pitch = rhs.stride(0);
    if comptime!(plan.form != Form::PerExpert) {
        matrix = place.expert * rhs.stride(0);
        pitch = rhs.stride(1);
    }
    load(
        rhs,
        right,
        matrix,
        pitch,
        place.column,
        columns,
        term,
        terms,
        comptime!(plan.right),
        vector,
    );
}

/// Writes a number of the tile, if the output has it.
#[cube]
pub(super) fn write<F: Float>(
    out: &mut Tensor<F>,
    place: &Place,
    row: usize,
    column: usize,
    value: f32,
    #[comptime] plan: Plan,
) {
    let (row, column) = (place.row + row, place.column + column);
    if row < place.rows && column < place.columns {
        let mut at = row * out.stride(0) + column;
        if comptime!(plan.form == Form::PerExpert) {
            at = place.expert * out.stride(0) + row * out.stride(1) + column;
        }
        out[at] = F::cast_from(value);
    }
}

/// The expert whose rows the row tile `tile` of height `side` holds.
///
/// The tiles of expert `e` start at `starts[e] / side + e`. This leaves each expert room for a tile
/// that is not full, needs no sum over experts, and ascends, so it can be searched.
#[cube]
fn expert_of(tile: usize, starts: &[i32], #[comptime] side: usize) -> usize {
    let mut low = 0usize.runtime();
    let mut high = starts.len() - 1;
    while low + 1 < high {
        let middle = (low + high) / 2;
        if starts[middle] as usize / side + middle <= tile {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
