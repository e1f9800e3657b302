//! The learning rate.

use core::f64::consts::PI;

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

/// Linear warmup, then a cosine to a fraction of the peak.
///
/// With `W` warmup steps of `T`, step `t` (from 0) runs at `peak (t + 1) / W` before `W`, and at
/// `peak (r + (1 - r) (1 + cos(pi (t - W) / (T - W))) / 2)` from there on, `r` the final ratio.
/// A closed form: the state is the step alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmupCosine {
    /// The highest rate.
    pub peak: f64,
    /// The length of the run in steps.
    pub total: usize,
    /// The length of the warmup in steps.
    pub warmup: usize,
    /// The last rate, as a fraction of the highest.
    pub final_ratio: f64,
    next: usize,
}

impl WarmupCosine {
    /// A schedule over `total` steps of which `warmup_fraction` climb.
    pub fn new(peak: f64, total: usize, warmup_fraction: f64, final_ratio: f64) -> Self {
        Self {
            peak,
            total,
            warmup: ((total as f64 * warmup_fraction) as usize).max(1),
            final_ratio,
            next: 0,
        }
    }

    /// The rate of step `t`, the first one being 0.
    pub fn rate(&self, t: usize) -> f64 {
        if t < self.warmup {
            return self.peak * (t + 1) as f64 / self.warmup as f64;
        }
        let left = self.total.saturating_sub(self.warmup).max(1);
        let x = (t - self.warmup) as f64 / left as f64;
        self.peak * (self.final_ratio + (1.0 - self.final_ratio) * 0.5 * (1.0 + (PI * x).cos()))
    }

    /// The lowest rate, where the cosine ends.
    pub fn min(&self) -> f64 {
        self.peak * self.final_ratio
    }
}

impl LrScheduler for WarmupCosine {
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

    #[test]
    fn the_rates_are_those_of_the_reference() {
        let schedule = WarmupCosine::new(8e-3, 200, 0.03, 0.01);
        for (t, expected) in REFERENCE {
            let found = schedule.rate(t);
            assert!((found - expected).abs() < 1e-12, "{t}: {found}");
        }
    }

    #[test]
    fn a_resumed_schedule_goes_on_where_it_was() {
        let mut schedule = WarmupCosine::new(8e-3, 100, 0.03, 0.01);
        for _ in 0..40 {
            schedule.step();
        }
        let mut resumed = WarmupCosine::new(8e-3, 100, 0.03, 0.01);
        resumed.load_record(schedule.to_record());
        assert_eq!(resumed.step(), schedule.rate(40));
    }
}
