//! Which experts every token is sent to.

use std::borrow::Cow;

use burn_core::tensor::{DType, Device, Int, Tensor, TensorData};

#[cfg(feature = "cube")]
use crate::cube;
use crate::host_choice::HostChoice;

/// The experts that every token of a batch is sent to.
///
/// A slot is one of the `top_k` choices of a token: slot `n * top_k + j` is choice `j` of token
/// `n`. CubeCL devices choose by themselves, and nothing waits for them before a number is read.
/// For every other device the host chooses, which reads the probabilities once.
///
/// ```
/// use burn_core::tensor::{Device, Tensor};
/// use burn_grow_kernels::Routing;
///
/// // Two tokens, three experts, two choices each.
/// let probabilities = [[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]];
/// let probabilities = Tensor::<2>::from_data(probabilities, &Device::flex());
/// let routing = Routing::choose(&probabilities, 2);
/// assert_eq!(routing.read_experts(), [1, 0, 0, 2]);
/// assert_eq!(routing.read_load(), [2, 1, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct Routing {
    choice: Choice,
    tokens: usize,
    n_experts: usize,
    top_k: usize,
    /// The device of the probabilities.
    device: Device,
}

/// Who chose.
#[derive(Clone, Debug)]
enum Choice {
    Host(HostChoice),
    #[cfg(feature = "cube")]
    Cube(Box<cube::Groups>),
}

impl Routing {
    /// Sends every token to its `top_k` most probable experts, most probable first, the lower index
    /// first among equals.
    ///
    /// The copies that growing makes of an expert have equal probabilities to the last bit, so they
    /// are chosen together. The exception is a tie with other experts, as under a router of zeros:
    /// then only copies that stand side by side (`CopyMap::Interleaved`) are.
    ///
    /// NaN is never more probable than a number. Probabilities are compared in `f32`. No gradient
    /// flows through the choice.
    ///
    /// # Shapes
    ///
    /// - probabilities: `[tokens, n_experts]`
    ///
    /// # Panics
    ///
    /// Panics unless `top_k` is between one and `n_experts`.
    pub fn choose(probabilities: &Tensor<2>, top_k: usize) -> Self {
        let [tokens, n_experts] = probabilities.dims();
        assert!(
            (1..=n_experts).contains(&top_k),
            "`top_k` is between 1 and the number of experts, {n_experts}, found {top_k}"
        );
        let device = probabilities.device();
        Self {
            choice: Choice::new(probabilities, top_k, &device),
            tokens,
            n_experts,
            top_k,
            device,
        }
    }

    /// The number of experts a token is sent to.
    pub fn top_k(&self) -> usize {
        self.top_k
    }

    /// The number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The number of experts.
    pub fn n_experts(&self) -> usize {
        self.n_experts
    }

    /// The experts of every token, on its device: `[tokens, top_k]`.
    pub fn experts(&self) -> Tensor<2, Int> {
        match &self.choice {
            Choice::Host(choice) => self.integers(choice.experts(), [self.tokens, self.top_k]),
            #[cfg(feature = "cube")]
            Choice::Cube(groups) => groups.experts.clone(),
        }
    }

    /// The number of tokens that each expert received, on their device: `[n_experts]`.
    pub fn load(&self) -> Tensor<1, Int> {
        match &self.choice {
            Choice::Host(choice) => self.integers(choice.load(), [self.n_experts]),
            #[cfg(feature = "cube")]
            Choice::Cube(groups) => groups.load.clone(),
        }
    }

    /// Reads the expert of each slot. Waits for the device if it chose.
    pub fn read_experts(&self) -> Vec<usize> {
        match &self.choice {
            Choice::Host(choice) => choice.experts().to_vec(),
            #[cfg(feature = "cube")]
            Choice::Cube(groups) => read(groups.experts.clone()),
        }
    }

    /// Reads the number of tokens that each expert received. Waits for the device if it chose.
    pub fn read_load(&self) -> Vec<usize> {
        match &self.choice {
            Choice::Host(choice) => choice.load().to_vec(),
            #[cfg(feature = "cube")]
            Choice::Cube(groups) => read(groups.load.clone()),
        }
    }

    /// The choice on the host, which is read if the device chose.
    pub(crate) fn on_host(&self) -> Cow<'_, HostChoice> {
        match &self.choice {
            Choice::Host(choice) => Cow::Borrowed(choice),
            #[cfg(feature = "cube")]
            Choice::Cube(_) => Cow::Owned(HostChoice::new(
                self.read_experts(),
                self.n_experts,
                self.top_k,
            )),
        }
    }

    /// The choice of the device, or `None` if the host chose.
    #[cfg(feature = "cube")]
    pub(crate) fn on_device(&self) -> Option<&cube::Groups> {
        match &self.choice {
            Choice::Host(_) => None,
            Choice::Cube(groups) => Some(groups),
        }
    }

    fn integers<const D: usize>(&self, values: &[usize], shape: [usize; D]) -> Tensor<D, Int> {
        let values: Vec<i64> = values.iter().map(|value| *value as i64).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

impl Choice {
    #[cfg_attr(not(feature = "cube"), expect(unused_variables))]
    fn new(probabilities: &Tensor<2>, top_k: usize, device: &Device) -> Self {
        // A kernel needs at least one token to run for.
        #[cfg(feature = "cube")]
        if probabilities.dims()[0] > 0 && cube::runs_on(&device.clone().without_autodiff()) {
            return Self::Cube(Box::new(cube::Groups::choose(probabilities, top_k)));
        }
        let [_, n_experts] = probabilities.dims();
        let probabilities: Vec<f32> = probabilities
            .clone()
            .without_autodiff()
            .cast(DType::F32)
            .into_data()
            .try_into_vec()
            .expect("`f32`");
        Self::Host(HostChoice::choose(&probabilities, n_experts, top_k))
    }
}

/// Reads indices or counts.
#[cfg(feature = "cube")]
fn read<const D: usize>(tensor: Tensor<D, Int>) -> Vec<usize> {
    let values = tensor.into_data();
    values.iter::<i64>().map(|value| value as usize).collect()
}
