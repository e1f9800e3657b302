//! Root-mean-square normalization on Flex, with its derivative.

use burn_core::backend::flex::FlexTensor;
use burn_core::tensor::Tensor;

use super::op::{Operation, apply, numbers, tensor};
use super::simd::{Kernel, sum_of, vectorized};

/// [`rms_norm`](crate::rms_norm) as one operation.
///
/// With `z = x r`, `r = 1 / sqrt(mean(x^2) + eps)` and `h = dy * gain`:
/// `dx = r (h - z mean(h * z))`, `dgain = sum(dy * z)`.
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f64) -> Tensor<D> {
    apply(RmsNorm { eps: eps as f32 }, [x.into(), gain.into()])
}

#[derive(Clone, Debug)]
struct RmsNorm {
    eps: f32,
}

impl Operation<2> for RmsNorm {
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [x, gain] = inputs;
        let mut y = vec![0.0; numbers(&x).len()];
        vectorized(Forward {
            x: numbers(&x),
            gain: numbers(&gain),
            eps: self.eps,
            y: &mut y,
        });
        let y = tensor(y, x.layout().shape().to_vec());
        (y, [x, gain])
    }

    fn backward(self, saved: Self::Saved, grad: FlexTensor) -> [FlexTensor; 2] {
        let [x, gain] = saved;
        let mut dx = vec![0.0; numbers(&x).len()];
        let mut dgain = vec![0.0; numbers(&gain).len()];
        vectorized(Backward {
            x: numbers(&x),
            gain: numbers(&gain),
            dy: numbers(&grad),
            eps: self.eps,
            dx: &mut dx,
            dgain: &mut dgain,
        });
        let dgain_shape = [dgain.len()];
        [
            tensor(dx, x.layout().shape().to_vec()),
            tensor(dgain, dgain_shape),
        ]
    }
}

/// The scale of a row: `1 / sqrt(mean(x^2) + eps)`.
#[inline(always)]
pub(super) fn scale(x: &[f32], eps: f32) -> f32 {
    let squares = sum_of(x, x, |a, b| a * b);
    1.0 / (squares / x.len() as f32 + eps).sqrt()
}

/// Turns `dz`, the gradient of the row `z = x r` after its gain, into the gradient of `x`.
#[inline(always)]
pub(super) fn row_backward(x: &[f32], r: f32, dz: &mut [f32]) {
    let mean = sum_of(dz, x, |dz, x| dz * x) * r / x.len() as f32;
    for (dz, x) in dz.iter_mut().zip(x) {
        *dz = r * (*dz - x * r * mean);
    }
}

struct Forward<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gain.len();
        for (y, x) in self
            .y
            .chunks_exact_mut(width)
            .zip(self.x.chunks_exact(width))
        {
            let r = scale(x, self.eps);
            for ((y, x), gain) in y.iter_mut().zip(x).zip(self.gain) {
                *y = x * r * gain;
            }
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    dy: &'a [f32],
    eps: f32,
    dx: &'a mut [f32],
    dgain: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gain.len();
        let rows = self.x.chunks_exact(width).zip(self.dy.chunks_exact(width));
        for (dx, (x, dy)) in self.dx.chunks_exact_mut(width).zip(rows) {
            let r = scale(x, self.eps);
            for ((dgain, x), dy) in self.dgain.iter_mut().zip(x).zip(dy) {
                *dgain += dy * x * r;
            }
            for ((dx, dy), gain) in dx.iter_mut().zip(dy).zip(self.gain) {
                *dx = dy * gain;
            }
            row_backward(x, r, dx);
        }
    }
}
