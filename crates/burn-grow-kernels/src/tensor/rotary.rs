//! Rotary positions with the tensor API.

use burn_core::tensor::{DType, Device, Tensor, TensorData};

use crate::angles::RotaryAngles;

/// The tables of [`rotate`](crate::rotate).
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    /// `[1, seq, 1, head_dim]`
    cos: Tensor<4>,
    /// `[1, seq, 1, head_dim]`
    sin: Tensor<4>,
    /// `[head_dim, head_dim]`: `rotate_half` as a product, whose backward is a product too, where
    /// slices would write zeros of full size.
    half: Tensor<2>,
}

impl Rotary {
    /// The tables of `angles` on `device`.
    pub(crate) fn new(angles: &RotaryAngles, dtype: DType, device: &Device) -> Self {
        let seq = angles.seq();
        let half = angles.cos().len() / seq;
        let head_dim = 2 * half;
        let table = |values: &[f32]| {
            let twice: Vec<f32> = values
                .chunks_exact(half)
                .flat_map(|row| [row, row].concat())
                .collect();
            Tensor::from_data(
                TensorData::new(twice, [1, seq, 1, head_dim]),
                (device, dtype),
            )
        };
        let mut rotation = vec![0f32; head_dim * head_dim];
        for i in 0..half {
            rotation[i * head_dim + half + i] = 1.0;
            rotation[(half + i) * head_dim + i] = -1.0;
        }
        Self {
            cos: table(angles.cos()),
            sin: table(angles.sin()),
            half: Tensor::from_data(
                TensorData::new(rotation, [head_dim, head_dim]),
                (device, dtype),
            ),
        }
    }

    /// Rotates every head by its position.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, seq, heads, head_dim]`
    /// - output: `[batch, seq, heads, head_dim]`
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, seq, heads, head_dim] = x.dims();
        let turned = x
            .clone()
            .reshape([batch * seq * heads, head_dim])
            .matmul(self.half.clone())
            .reshape([batch, seq, heads, head_dim]);
        x * self.cos.clone() + turned * self.sin.clone()
    }
}
