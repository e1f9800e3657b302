use core::fmt::{self, Debug, Write};

use burn_grow_core::Plan;

use crate::{Growth, WatchedMetric};

/// What tells the run that a record is of from another one: fingerprints, so that records stay small.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Of every metric that a trigger watches, and how many there are.
    pub(crate) series: (i64, usize),
    /// Of the first plans, by how many.
    plans: Vec<i64>,
    /// Of the re-warmups of the first stages, by how many.
    rewarmups: Vec<i64>,
}

/// The fingerprints of expansions that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grown {
    /// Of their plans.
    pub(crate) plans: i64,
    /// Of the re-warmup, and of the length of the run where the rate depends on it.
    pub(crate) rewarmup: i64,
}

impl Marks {
    pub(crate) fn new(
        series: &[WatchedMetric],
        plans: &[Plan],
        growths: &[Growth],
        total_steps: usize,
    ) -> Self {
        let rewarmups = growths.iter().map(|growth| {
            let rewarmup = growth.rewarmup.as_ref();
            (
                rewarmup,
                rewarmup
                    .filter(|it| it.depends_on_length())
                    .map(|_| total_steps),
            )
        });
        let rewarmups: Vec<_> = rewarmups.collect();
        Self {
            series: (Hash::of(&series).word(), series.len()),
            plans: (0..=plans.len())
                .map(|stage| Hash::of(&&plans[..stage]).word())
                .collect(),
            rewarmups: (0..=growths.len())
                .map(|stage| Hash::of(&&rewarmups[..stage]).word())
                .collect(),
        }
    }

    /// Those of the first `stage` expansions, if there are so many.
    pub(crate) fn grown(&self, stage: usize) -> Option<Grown> {
        Some(Grown {
            plans: *self.plans.get(stage)?,
            rewarmup: *self.rewarmups.get(stage)?,
        })
    }
}

impl Grown {
    /// Checks that a run that grew like this went as this one does.
    ///
    /// # Errors
    ///
    /// Says what differs.
    pub(crate) fn check(self, ours: Self) -> Result<(), &'static str> {
        if self.plans != ours.plans {
            return Err(
                "the record's run took other expansions than this callback plans: of other widths, by another method or \
                 with another seed",
            );
        }
        match self.rewarmup == ours.rewarmup {
            true => Ok(()),
            false => Err(
                "the record's run re-warmed otherwise than this callback says, or was of another length, which its \
                 re-warmups were placed by",
            ),
        }
    }
}

/// FNV-1a, of what something is shown as: the same in every process.
#[derive(Clone, Copy, Debug)]
struct Hash(u32);

impl Hash {
    fn of(value: &impl Debug) -> Self {
        let mut hash = Self::default();
        // Nothing that is hashed fails to be shown, and this writer takes all.
        let _ = write!(hash, "{value:?}");
        hash
    }

    /// In a word that every device's integers hold.
    fn word(self) -> i64 {
        i64::from(self.0 as i32)
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text.bytes().fold(self.0, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Ok(())
    }
}
