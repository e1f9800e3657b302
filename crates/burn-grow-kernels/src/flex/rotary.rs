//! Normalized and rotated heads on Flex, with their derivative.

use burn_core::backend::flex::FlexTensor;
use burn_core::tensor::Tensor;

use super::norm::{row_backward, scale};
use super::op::{Operation, apply, dims, numbers, tensor};
use super::simd::{Kernel, vectorized};
use crate::angles::RotaryAngles;

/// The norm of every head and its rotation as one operation: `rotary(rms_norm(x, gain))`.
///
/// The gradient is rotated back, then goes through the norm.
///
/// # Shapes
///
/// - x: `[batch, seq, heads, head_dim]`
/// - gain: `[head_dim]`
/// - output: `[batch, seq, heads, head_dim]`
pub(crate) fn norm_rotate(
    x: Tensor<4>,
    gain: Tensor<1>,
    eps: f64,
    angles: RotaryAngles,
) -> Tensor<4> {
    let eps = eps as f32;
    apply(NormRotate { eps, angles }, [x.into(), gain.into()])
}

#[derive(Clone, Debug)]
struct NormRotate {
    eps: f32,
    angles: RotaryAngles,
}

impl Operation<2> for NormRotate {
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [x, gain] = inputs;
        let [_, _, heads, _] = dims(&x);
        let mut y = vec![0.0; numbers(&x).len()];
        vectorized(Forward {
            rows: Rows {
                x: numbers(&x),
                gain: numbers(&gain),
                angles: &self.angles,
                heads,
                eps: self.eps,
            },
            y: &mut y,
        });
        let y = tensor(y, x.layout().shape().to_vec());
        (y, [x, gain])
    }

    fn backward(self, saved: Self::Saved, grad: FlexTensor) -> [FlexTensor; 2] {
        let [x, gain] = saved;
        let [_, _, heads, head_dim] = dims(&x);
        let mut dx = vec![0.0; numbers(&x).len()];
        let mut dgain = vec![0.0; head_dim];
        vectorized(Backward {
            rows: Rows {
                x: numbers(&x),
                gain: numbers(&gain),
                angles: &self.angles,
                heads,
                eps: self.eps,
            },
            dy: numbers(&grad),
            dx: &mut dx,
            dgain: &mut dgain,
        });
        let dx = tensor(dx, x.layout().shape().to_vec());
        [dx, tensor(dgain, [head_dim])]
    }
}

struct Rows<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    angles: &'a RotaryAngles,
    heads: usize,
    eps: f32,
}

impl Rows<'_> {
    /// The cosines and sines of a row.
    #[inline(always)]
    fn angles(&self, row: usize, half: usize) -> (&[f32], &[f32]) {
        let at = row / self.heads % self.angles.seq() * half;
        let tables = (self.angles.cos(), self.angles.sin());
        (&tables.0[at..at + half], &tables.1[at..at + half])
    }
}

struct Forward<'a> {
    rows: Rows<'a>,
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        // Loops over short rows are as fast as their length is known.
        match self.rows.gain.len() {
            16 => self.rows(16),
            64 => self.rows(64),
            128 => self.rows(128),
            dim => self.rows(dim),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn rows(self, dim: usize) {
        let Rows { x, gain, eps, .. } = self.rows;
        let half = dim / 2;
        let (gain_1, gain_2) = gain[..dim].split_at(half);
        let rows = self.y.chunks_exact_mut(dim).zip(x.chunks_exact(dim));
        for (row, (y, x)) in rows.enumerate() {
            let r = scale(x, eps);
            let (cos, sin) = self.rows.angles(row, half);
            let ((y_1, y_2), (x_1, x_2)) = (y.split_at_mut(half), x.split_at(half));
            let gains = gain_1.iter().zip(gain_2);
            let inputs = x_1.iter().zip(x_2).zip(gains).zip(cos.iter().zip(sin));
            for ((y_1, y_2), (((x_1, x_2), (g_1, g_2)), (cos, sin))) in
                y_1.iter_mut().zip(y_2).zip(inputs)
            {
                let (z_1, z_2) = (x_1 * r * g_1, x_2 * r * g_2);
                *y_1 = z_1 * cos - z_2 * sin;
                *y_2 = z_2 * cos + z_1 * sin;
            }
        }
    }
}

struct Backward<'a> {
    rows: Rows<'a>,
    dy: &'a [f32],
    dx: &'a mut [f32],
    dgain: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        // Loops over short rows are as fast as their length is known.
        match self.rows.gain.len() {
            16 => self.rows(16),
            64 => self.rows(64),
            128 => self.rows(128),
            dim => self.rows(dim),
        }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn rows(self, dim: usize) {
        let Rows { x, gain, eps, .. } = self.rows;
        let half = dim / 2;
        let rows = self.dy.chunks_exact(dim).zip(x.chunks_exact(dim));
        for (row, (dx, (dy, x))) in self.dx.chunks_exact_mut(dim).zip(rows).enumerate() {
            let r = scale(x, eps);
            let (cos, sin) = self.rows.angles(row, half);
            let ((dx_1, dx_2), (dy_1, dy_2)) = (dx.split_at_mut(half), dy.split_at(half));
            let inputs = dy_1.iter().zip(dy_2).zip(cos.iter().zip(sin));
            for ((dx_1, dx_2), ((dy_1, dy_2), (cos, sin))) in dx_1.iter_mut().zip(dx_2).zip(inputs)
            {
                *dx_1 = dy_1 * cos + dy_2 * sin;
                *dx_2 = dy_2 * cos - dy_1 * sin;
            }
            for (((dx, dgain), x), gain) in dx.iter_mut().zip(&mut *self.dgain).zip(x).zip(gain) {
                *dgain += *dx * x * r;
                *dx *= gain;
            }
            row_backward(x, r, dx);
        }
    }
}
