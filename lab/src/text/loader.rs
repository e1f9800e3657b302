//! Batches of windows: random ones to train on, and the same held-out ones every time.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::spec::Settings;
use crate::text::Corpus;

/// Windows of text: every byte is to be predicted from those before it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, context]`
    pub tokens: Tensor<2, Int>,
    /// The same, one byte further: `[batch, context]`
    pub targets: Tensor<2, Int>,
}

impl Batch {
    /// Cuts the windows that begin at `starts`.
    pub fn new(corpus: &Corpus, starts: &[usize], context: usize, device: &Device) -> Self {
        let shape = [starts.len(), context];
        let take = |offset: usize| {
            let bytes: Vec<i32> = starts
                .iter()
                .flat_map(|start| corpus.window(start + offset, context))
                .map(|byte| i32::from(*byte))
                .collect();
            Tensor::from_data(TensorData::new(bytes, shape), device)
        };
        Self {
            tokens: take(0),
            targets: take(1),
        }
    }
}

/// Takes random training windows, an epoch at a time.
///
/// Windows are random with replacement, and those of step `t` depend on the seed and `t` alone:
/// every run sees the same text in the same order, and so does a resumed one. Iterating for the
/// k-th time gives epoch `first + k`.
#[derive(Clone)]
pub struct TrainLoader {
    corpus: Arc<Corpus>,
    seed: u64,
    batch: usize,
    context: usize,
    epoch_steps: usize,
    total_steps: usize,
    /// The steps of an epoch that this loader gives.
    part: Range<usize>,
    epoch: Arc<AtomicUsize>,
    device: Device,
}

impl TrainLoader {
    /// Makes a loader of `total_steps` steps, from epoch `first` (0 is the first one) on.
    pub fn new(
        corpus: Arc<Corpus>,
        settings: &Settings,
        total_steps: usize,
        first: usize,
        device: &Device,
    ) -> Self {
        Self {
            corpus,
            seed: settings.seed,
            batch: settings.batch,
            context: settings.context,
            epoch_steps: settings.epoch_steps(),
            total_steps,
            part: 0..settings.epoch_steps(),
            epoch: Arc::new(AtomicUsize::new(first)),
            device: device.clone(),
        }
    }

    /// Finds where the windows of step `t` begin.
    pub fn starts(&self, t: usize) -> Vec<usize> {
        let window = self.context + 1;
        let windows = self.corpus.train_windows(window);
        // An odd multiplier keeps steps apart whatever the seed is.
        let step = (t as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = StdRng::seed_from_u64(self.seed ^ step.rotate_left(32));
        (0..self.batch)
            .map(|_| {
                let index = random.random_range(0..windows);
                self.corpus.train_window(index, window)
            })
            .collect()
    }
}

impl DataLoader<Batch> for TrainLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let first = self.epoch.fetch_add(1, Ordering::Relaxed) * self.epoch_steps;
        let end = self.total_steps.min(first + self.part.end);
        let begin = end.min(first + self.part.start);
        Box::new(Batches {
            next: begin,
            steps: begin..end,
            windows: self.batch,
            make: move |t| Batch::new(&self.corpus, &self.starts(t), self.context, &self.device),
        })
    }

    fn num_items(&self) -> usize {
        self.part.len() * self.batch
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let first = self.part.start + start / self.batch;
        let last = self.part.start + end.div_ceil(self.batch);
        Arc::new(Self {
            part: first..last.min(self.part.end),
            // Slices are iterated side by side, so each counts for itself.
            epoch: Arc::new(AtomicUsize::new(self.epoch.load(Ordering::Relaxed))),
            ..self.clone()
        })
    }
}

/// Gives the same held-out windows every time.
#[derive(Clone)]
pub struct HeldOut {
    corpus: Arc<Corpus>,
    starts: Arc<[usize]>,
    batch: usize,
    context: usize,
    device: Device,
}

impl HeldOut {
    /// Takes up to `count` windows, spread evenly over the text.
    pub fn new(corpus: Arc<Corpus>, settings: &Settings, count: usize, device: &Device) -> Self {
        let starts = corpus.held_out_windows(count, settings.context + 1);
        // Batches of one size, so that the mean over batches is the mean over windows.
        let whole = starts.len() - starts.len() % settings.batch;
        let starts = if whole == 0 {
            starts
        } else {
            starts[..whole].to_vec()
        };
        Self {
            corpus,
            starts: starts.into(),
            batch: settings.batch,
            context: settings.context,
            device: device.clone(),
        }
    }

    /// Counts the windows.
    pub fn windows(&self) -> usize {
        self.starts.len()
    }

    /// Gives the batches.
    pub fn batches(&self) -> impl Iterator<Item = Batch> + '_ {
        self.starts
            .chunks(self.batch)
            .map(|starts| Batch::new(&self.corpus, starts, self.context, &self.device))
    }
}

impl DataLoader<Batch> for HeldOut {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let chunk = move |index: usize| {
            let end = self.starts.len().min((index + 1) * self.batch);
            Batch::new(
                &self.corpus,
                &self.starts[index * self.batch..end],
                self.context,
                &self.device,
            )
        };
        Box::new(Batches {
            next: 0,
            steps: 0..self.starts.len().div_ceil(self.batch),
            windows: self.batch,
            make: chunk,
        })
    }

    fn num_items(&self) -> usize {
        self.starts.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self {
            starts: self.starts[start..end.min(self.starts.len())].into(),
            ..self.clone()
        })
    }
}

/// Makes batches one by one.
struct Batches<F> {
    next: usize,
    steps: Range<usize>,
    windows: usize,
    make: F,
}

impl<F: Fn(usize) -> Batch> Iterator for Batches<F> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.next < self.steps.end).then(|| {
            let batch = (self.make)(self.next);
            self.next += 1;
            Ok(batch)
        })
    }
}

impl<F: Fn(usize) -> Batch> DataLoaderIterator<Batch> for Batches<F> {
    fn progress(&self) -> Progress {
        Progress::new(
            (self.next - self.steps.start) * self.windows,
            self.steps.len() * self.windows,
            Some("windows".into()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            steps: 12,
            epochs: 4,
            batch: 4,
            context: 16,
            ..Settings::default()
        }
    }

    fn corpus() -> Arc<Corpus> {
        let text = (0..200_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8);
        Arc::new(Corpus::split(text.collect(), 1, 17).expect("long enough"))
    }

    fn loader(first: usize, seed: u64) -> TrainLoader {
        let settings = Settings { seed, ..settings() };
        TrainLoader::new(corpus(), &settings, 11, first, &Device::default())
    }

    fn epoch(loader: &dyn DataLoader<Batch>) -> Vec<Vec<i64>> {
        let bytes = |batch: Batch| batch.tokens.into_data().iter::<i64>().collect();
        let batches = loader.iter().map(|batch| batch.expect("no I/O"));
        batches.map(bytes).collect()
    }

    #[test]
    fn every_iteration_is_the_next_epoch_and_the_last_one_may_be_shorter() {
        let loader = loader(0, 0);
        let lengths: Vec<_> = (0..4).map(|_| epoch(&loader).len()).collect();
        assert_eq!(lengths, [3, 3, 3, 2]);
    }

    #[test]
    fn a_resumed_loader_gives_the_same_batches() {
        let whole = loader(0, 0);
        let epochs: Vec<_> = (0..4).map(|_| epoch(&whole)).collect();
        let resumed = loader(2, 0);
        assert_eq!(epoch(&resumed), epochs[2]);
        assert_eq!(epoch(&resumed), epochs[3]);
        assert_ne!(epochs[0], epochs[1]);
    }

    #[test]
    fn a_batch_depends_on_the_seed_and_the_step_alone() {
        assert_eq!(loader(0, 1).starts(7), loader(3, 1).starts(7));
        assert_ne!(loader(0, 1).starts(7), loader(0, 2).starts(7));
        assert_ne!(loader(0, 1).starts(7), loader(0, 1).starts(8));
        // Another seed is no other step.
        let steps = |seed| {
            (0..200)
                .map(|t| loader(0, seed).starts(t))
                .collect::<Vec<_>>()
        };
        let (one, two) = (steps(0), steps(1));
        assert!(one.iter().all(|starts| !two.contains(starts)));
    }

    #[test]
    fn targets_are_the_next_bytes() {
        let corpus = corpus();
        let batch = Batch::new(&corpus, &[5, 100], 16, &Device::default());
        let tokens: Vec<i64> = batch.tokens.into_data().iter::<i64>().collect();
        let targets: Vec<i64> = batch.targets.into_data().iter::<i64>().collect();
        assert_eq!(tokens[1..16], targets[..15]);
        assert_eq!(targets[15], i64::from(corpus.window(21, 1)[0]));
    }

    #[test]
    fn a_slice_is_part_of_every_epoch() {
        let whole = loader(0, 0);
        let slice = whole.slice(4, 8);
        let epochs = [epoch(&whole), epoch(&whole)];
        assert_eq!(epoch(slice.as_ref()), epochs[0][1..2]);
        assert_eq!(epoch(slice.as_ref()), epochs[1][1..2]);
        assert_eq!(slice.num_items(), 4);
    }

    #[test]
    fn held_out_windows_are_the_same_every_time() {
        let held_out = HeldOut::new(corpus(), &settings(), 10, &Device::default());
        // Whole batches only.
        assert_eq!(held_out.windows(), 8);
        let first = epoch(&held_out);
        assert_eq!(first.len(), 2);
        assert_eq!(first, epoch(&held_out));
        assert_eq!(epoch(held_out.slice(4, 8).as_ref()), first[1..]);
    }
}
