//! Numbers that come from a seed on the host, and how they are compared.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

/// A splitmix64 generator.
pub struct Rng(u64);

impl Rng {
    /// A generator that always draws the same for `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// A number in `[-1, 1)`.
    pub fn draw(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// A tensor of numbers in `[-1, 1)`.
pub fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut rng = Rng::new(seed);
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| rng.draw())
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The values of a tensor, row by row, in whatever type it stores them.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().expect("readable")
}

/// `model` with every float parameter drawn from `seed`, identities and flags kept.
pub fn seeded<M: Module>(model: M, seed: u64) -> M {
    struct Seed(u64);
    impl ModuleMapper for Seed {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let (id, tensor, mapper) = param.consume();
            let drawn = random(tensor.dims(), self.0, &tensor.device())
                .cast(tensor.dtype())
                .set_require_grad(tensor.is_require_grad());
            Param::from_mapped_value(id, drawn, mapper)
        }
    }
    model.map(&mut Seed(seed.wrapping_mul(1009)))
}

/// `model` with every float parameter stored as `dtype`.
pub fn cast<M: Module>(model: M, dtype: FloatDType) -> M {
    struct Cast(FloatDType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = param.consume();
            let require_grad = tensor.is_require_grad();
            let tensor = tensor.cast(self.0).detach().set_require_grad(require_grad);
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    model.map(&mut Cast(dtype))
}

/// Drawn gradients for the parameters of `model` whose path `wanted` accepts.
pub fn gradients<M: Module>(
    model: &M,
    seed: u64,
    wanted: impl Fn(&str) -> bool,
) -> GradientsParams {
    struct Draw<F> {
        seed: u64,
        wanted: F,
        path: Vec<String>,
        gradients: GradientsParams,
    }
    impl<F: Fn(&str) -> bool> ModuleVisitor for Draw<F> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.seed += 1;
            if !(self.wanted)(&self.path.join(".")) {
                return;
            }
            let tensor = param.val().inner();
            let drawn = random(tensor.dims(), self.seed, &tensor.device()).cast(tensor.dtype());
            self.gradients.register(param.id, drawn);
        }
    }
    let mut draw = Draw {
        seed: seed.wrapping_mul(2003),
        wanted,
        path: Vec::new(),
        gradients: GradientsParams::new(),
    };
    model.visit(&mut draw);
    draw.gradients
}

/// The largest difference between two vectors of one length.
pub fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len(), "lengths");
    found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (found - expected).abs())
        .fold(0.0, |largest, next| match next.is_nan() {
            true => f32::INFINITY,
            false => largest.max(next),
        })
}

/// Fails unless `found` is within `tolerance` of `expected`, coordinate by coordinate.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    let distance = distance(found, expected);
    assert!(distance <= tolerance, "{what}: off by {distance}");
}

/// The root of the mean square.
pub fn rms(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
    (squares / values.len() as f64).sqrt()
}
