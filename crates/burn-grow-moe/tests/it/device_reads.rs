//! Training does not wait for the device.
//!
//! A read from a wgpu device maps a buffer of it into the host's memory, there is no other way, and
//! wgpu logs every such call. So a logger counts them.
#![cfg(feature = "wgpu")]

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, DeviceKind};
use burn_grow_moe::{MoeConfig, MoeTransformer};
use log::{LevelFilter, Log, Metadata, Record};

use crate::common::{ids, tiny, tokens};

/// Counts the buffers that wgpu maps for the host to read.
struct Reads(AtomicUsize);

static READS: Reads = Reads(AtomicUsize::new(0));

impl Log for Reads {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let message = record.args().to_string();
            if message.starts_with("Buffer::map_async") && message.contains("Read") {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn flush(&self) {}
}

fn reads() -> usize {
    READS.0.load(Ordering::SeqCst)
}

#[test]
fn a_step_reads_nothing_from_the_device() {
    let inner = Device::wgpu(DeviceKind::DefaultDevice);
    let device = inner.clone().autodiff();
    let config = MoeConfig {
        n_layers: 1,
        ..tiny()
    };
    let mut model: MoeTransformer = config.init(&device);
    let mut optimizer = AdamWConfig::new().init();
    let [x, y] = [1, 2].map(|seed| tokens(&ids(seed, 24, 11), [2, 12], &device));
    let mut step = |model: MoeTransformer| {
        let loss = model.loss(x.clone(), y.clone());
        let grads = GradientsParams::from_grads(loss.total.backward(), &model);
        let model = optimizer.step(1e-3, model, grads);
        // Nothing is pending that could still read.
        inner.sync().expect("the device works");
        (model, loss.total)
    };
    // The first steps compile and tune kernels, which reads clocks.
    for _ in 0..2 {
        model = step(model).0;
    }
    log::set_logger(&READS).expect("no other logger");
    log::set_max_level(LevelFilter::Trace);
    let before = reads();
    let (_, loss) = step(model);
    assert_eq!(reads() - before, 0);
    // The count counts.
    assert!(loss.into_scalar::<f32>().is_finite());
    assert_eq!(reads() - before, 1);
}
