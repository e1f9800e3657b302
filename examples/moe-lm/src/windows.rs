//! Batches of windows.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Windows of text: every byte is to be predicted from those before it.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// `[batch, context]`
    pub(crate) tokens: Tensor<2, Int>,
    /// The same, one byte further: `[batch, context]`
    pub(crate) targets: Tensor<2, Int>,
}

#[derive(Clone)]
struct WindowBatcher;

impl Batcher<Vec<u8>, Batch> for WindowBatcher {
    fn batch(&self, windows: Vec<Vec<u8>>, device: &Device) -> Batch {
        let shape = [windows.len(), windows[0].len()];
        let bytes: Vec<i64> = windows.into_iter().flatten().map(i64::from).collect();
        let windows = Tensor::<2, Int>::from_data(TensorData::new(bytes, shape), device);
        let context = shape[1] - 1;
        Batch {
            tokens: windows.clone().narrow(1, 0, context),
            targets: windows.narrow(1, 1, context),
        }
    }
}

/// Loads windows in batches, shuffled if there is a seed.
pub(crate) fn loader(
    windows: Vec<Vec<u8>>,
    batch: usize,
    shuffle: Option<u64>,
) -> Arc<dyn DataLoader<Batch>> {
    let mut loader = DataLoaderBuilder::new(WindowBatcher).batch_size(batch);
    if let Some(seed) = shuffle {
        loader = loader.shuffle(seed);
    }
    loader.build(InMemDataset::new(windows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_next_bytes() {
        let windows = vec![vec![1, 2, 3], vec![4, 5, 6]];
        let batch = WindowBatcher.batch(windows, &Device::flex());
        let bytes = |tensor: Tensor<2, Int>| tensor.into_data().iter::<i64>().collect::<Vec<_>>();
        assert_eq!(bytes(batch.tokens), [1, 2, 4, 5]);
        assert_eq!(bytes(batch.targets), [2, 3, 5, 6]);
    }
}
