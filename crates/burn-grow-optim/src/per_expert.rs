use std::collections::BTreeMap;

use burn_core::tensor::{Device, Tensor, TensorData};
use burn_optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn_pack::Scalar;
use derive_new::new;

/// Optimizer for stacks of matrices that steps every matrix by itself with an optimizer for
/// matrices.
///
/// [`Muon`](burn_optim::Muon) orthogonalizes a matrix and takes no tensor of another rank, but the
/// experts of a layer are one parameter `[experts, in, out]`. All dimensions before the last two
/// are taken as the stack. [`BatchedMuon`](crate::BatchedMuon) does the same for Muon, in less time
/// if the matrices are small.
///
/// A record holds the states stacked like the parameter, so that an expansion maps them as any
/// other state.
///
/// ```
/// # use burn_core::module::ParamGroup;
/// # use burn_grow_optim::{AsymmetricConfig, AsymmetricGroups, PerExpert};
/// # use burn_optim::{AdamWConfig, MuonConfig};
/// let experts = ParamGroup::from_predicate("experts");
/// let optim = AdamWConfig::new()
///     .init_asymmetric()
///     .with_asymmetric_group(experts, &PerExpert::new(MuonConfig::new()));
/// ```
#[derive(Clone, Debug, new)]
pub struct PerExpert<O> {
    pub(crate) inner: O,
}

/// State of [`PerExpert`]: the state of every matrix.
#[derive(Clone, Debug)]
pub struct PerExpertState<O: Optimizer, const D: usize> {
    /// The states, in the order of the stack.
    members: Vec<O::State<2>>,
    /// The dimensions of the stack.
    stack: Vec<usize>,
}

impl<O: Optimizer> Optimizer for PerExpert<O> {
    type State<const D: usize> = PerExpertState<O, D>;

    /// Steps every matrix.
    ///
    /// # Panics
    ///
    /// When the parameter has less than two dimensions: it holds no matrix.
    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        assert!(
            D >= 2,
            "`PerExpert` takes stacks of matrices, and a parameter has {D} dimensions: give it another \
             optimizer, with a parameter group"
        );
        let shape = tensor.dims();
        let stack = shape[..D - 2].to_vec();
        let (tensors, grads) = (matrices(tensor), matrices(grad));
        let mut states = state.map(|state| state.members.into_iter());
        let stepped = tensors.into_iter().zip(grads).map(|(tensor, grad)| {
            let state = states.as_mut().and_then(Iterator::next);
            self.inner.step(lr, tensor, grad, state)
        });
        let (tensors, members): (Vec<_>, Vec<_>) = stepped.unzip();
        // `None` is what an optimizer without a state returns, for every matrix.
        let members: Option<Vec<_>> = members.into_iter().collect();
        let state = members.map(|members| PerExpertState { members, stack });
        (Tensor::cat(tensors, 0).reshape(shape), state)
    }

    fn to_device<const D: usize>(mut state: Self::State<D>, device: &Device) -> Self::State<D> {
        let members = state.members.into_iter();
        state.members = members.map(|member| O::to_device(member, device)).collect();
        state
    }
}

/// The matrices of a stack.
fn matrices<const D: usize>(stack: Tensor<D>) -> Vec<Tensor<2>> {
    let [rows, columns] = [stack.dims()[D - 2], stack.dims()[D - 1]];
    let count = stack.dims()[..D - 2].iter().product::<usize>();
    let all = stack.reshape([count * rows, columns]);
    (0..count)
        .map(|index| all.clone().narrow(0, index * rows, rows))
        .collect()
}

impl<O: Optimizer, const D: usize> RecordState for PerExpertState<O, D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let flattened = self.members.iter().map(|member| {
            let mut sink = StateSink::default();
            member.state_flatten(prefix, &mut sink);
            sink
        });
        let sinks: Vec<_> = flattened.collect();
        let Some(first) = sinks.first() else {
            return;
        };
        // Matrices are stepped together, so their counts are the same.
        out.scalars.extend(first.scalars.iter().cloned());
        for (leaf, (name, data)) in first.tensors.iter().enumerate() {
            let members = sinks.iter().map(|sink| &sink.tensors[leaf].1);
            let bytes = members.flat_map(|data| data.as_bytes()).copied().collect();
            let shape = [self.stack.as_slice(), data.shape().as_slice()].concat();
            let data = TensorData::from_bytes_vec(bytes, shape, data.dtype());
            out.tensors.push((name.clone(), data));
        }
    }

    /// `None` also if the record has no tensor of the parameter, as nothing then tells how many
    /// matrices there are.
    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        // Only the state itself knows its names: it is read as that of a parameter of rank `D`
        // first.
        let mut stacked = StateSink::default();
        O::State::<D>::state_unflatten(prefix, src, device)?.state_flatten(prefix, &mut stacked);
        let lead = D.checked_sub(2)?;
        let stack = stacked.tensors.first()?.1.shape()[..lead].to_vec();
        let count = stack.iter().product();
        let scalars: BTreeMap<String, Scalar> = stacked.scalars.into_iter().collect();
        let members = (0..count).map(|index| {
            let mut source = StateSource::new(scalars.clone());
            for (name, data) in &stacked.tensors {
                let shape = data.shape();
                let length = data.as_bytes().len() / count;
                let bytes = data.as_bytes()[index * length..(index + 1) * length].to_vec();
                let matrix = TensorData::from_bytes_vec(bytes, &shape[lead..], data.dtype());
                source.insert_tensor(name.clone(), matrix);
            }
            O::State::<2>::state_unflatten(prefix, &mut source, device)
        });
        let members = members.collect::<Option<_>>()?;
        Some(Self { members, stack })
    }
}
