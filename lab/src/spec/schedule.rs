//! The base learning rate: warmup, a stable part, then a cosine.

use core::f64::consts::PI;

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use crate::spec::OptimizerSettings;

/// Linear warmup, the peak for a while, then a cosine to a fraction of it.
///
/// With `W` warmup steps and `S` stable ones of `T`, step `t` (from 0) runs at `peak (t + 1) / W`
/// before `W`, at `peak` before `W + S`, and from there on at
/// `peak (r + (1 - r) (1 + cos(pi (t - W - S) / (T - W - S))) / 2)`, `r` the final ratio. Without
/// stable steps it is the cosine schedule of the paper, with them warmup-stable-decay
/// (arXiv 2404.06395). A closed form: the state is the step alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmupStableCosine {
    /// The highest rate.
    pub peak: f64,
    /// The length of the run in steps.
    pub total: usize,
    /// The length of the warmup in steps.
    pub warmup: usize,
    /// The steps at the peak after it.
    pub stable: usize,
    /// The last rate, as a fraction of the highest.
    pub final_ratio: f64,
    next: usize,
}

impl WarmupStableCosine {
    /// The schedule of `optimizer` over `total` steps.
    pub fn new(optimizer: &OptimizerSettings, total: usize) -> Self {
        let part = |fraction: f64| (total as f64 * fraction) as usize;
        Self {
            peak: optimizer.peak_rate,
            total,
            warmup: part(optimizer.warmup).max(1),
            stable: part(optimizer.stable),
            final_ratio: optimizer.final_ratio,
            next: 0,
        }
    }

    /// The rate of step `t`, the first one being 0.
    pub fn rate(&self, t: usize) -> f64 {
        if t < self.warmup {
            return self.peak * (t + 1) as f64 / self.warmup as f64;
        }
        let begin = self.warmup + self.stable;
        let left = self.total.saturating_sub(begin).max(1);
        let x = t.saturating_sub(begin) as f64 / left as f64;
        self.peak * (self.final_ratio + (1.0 - self.final_ratio) * 0.5 * (1.0 + (PI * x).cos()))
    }

    /// The lowest rate, where the cosine ends.
    pub fn min(&self) -> f64 {
        self.peak * self.final_ratio
    }
}

impl LrScheduler for WarmupStableCosine {
    fn step(&mut self) -> f64 {
        let rate = self.rate(self.next);
        self.next += 1;
        rate
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("next", self.next)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(next) = record.scalar("next") {
            self.next = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cosine_lr(t, total=200, peak=8e-3)` of the numpy reference, to 17 digits.
    const REFERENCE: [(usize, f64); 6] = [
        (0, 0.0013333333333333333),
        (5, 0.008),
        (6, 0.008),
        (100, 0.004232306399573216),
        (150, 0.0013086938419787071),
        (199, 8.051922068409648e-5),
    ];

    fn schedule(total: usize, stable: f64) -> WarmupStableCosine {
        let optimizer = OptimizerSettings {
            stable,
            ..OptimizerSettings::default()
        };
        WarmupStableCosine::new(&optimizer, total)
    }

    #[test]
    fn the_rates_are_those_of_the_reference() {
        let schedule = schedule(200, 0.0);
        for (t, expected) in REFERENCE {
            let found = schedule.rate(t);
            assert!((found - expected).abs() < 1e-12, "{t}: {found}");
        }
    }

    #[test]
    fn the_peak_is_held_and_the_cosine_takes_what_is_left() {
        let held = schedule(200, 0.5);
        for t in 5..=106 {
            assert_eq!(held.rate(t), 8e-3, "{t}");
        }
        // Half of the way down, and at the end.
        assert!((held.rate(153) - 8e-3 * 0.505).abs() < 1e-12);
        assert!((held.rate(200) - held.min()).abs() < 1e-12);
    }

    #[test]
    fn a_resumed_schedule_goes_on_where_it_was() {
        let mut whole = schedule(100, 0.25);
        for _ in 0..40 {
            whole.step();
        }
        let mut resumed = schedule(100, 0.25);
        resumed.load_record(whole.to_record());
        assert_eq!(resumed.step(), whole.rate(40));
    }
}
