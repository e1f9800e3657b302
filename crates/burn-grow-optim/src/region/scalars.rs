//! A region as the scalars of an optimizer record.

use burn_pack::Scalar;

use super::{Extent, Region};
use crate::{BiasCorrection, Ramp, RewarmupSchedule, RewarmupScope};

/// The version of the scalars. It is recorded with every region, and every version that was ever
/// released is read.
const VERSION: u64 = 1;

/// The field that holds the version.
pub(crate) const VERSION_FIELD: &str = "version";

impl Region {
    /// The named scalars that a record holds for the region.
    pub(crate) fn scalars(&self) -> Vec<(String, Scalar)> {
        let all = self.ramp.scope == RewarmupScope::All;
        let mut scalars: Vec<(String, Scalar)> = vec![
            (VERSION_FIELD.into(), VERSION.into()),
            ("age".into(), self.age.into()),
            ("count".into(), self.count.into()),
            ("all".into(), all.into()),
            ("rho".into(), self.ramp.rho.into()),
            ("steps".into(), self.ramp.steps.into()),
            ("horizon".into(), self.ramp.horizon.into()),
        ];
        let bias_correction = self.ramp.bias_correction.numbers();
        let schedule = self.ramp.schedule.numbers();
        let start = self.start.map(|start| ("start", start));
        for (name, number) in bias_correction.into_iter().chain(schedule).chain(start) {
            scalars.push((name.into(), number.into()));
        }
        for (dim, extent) in self.extents.iter().enumerate() {
            for (index, run) in extent.runs.iter().enumerate() {
                scalars.push((format!("{dim}.{index}"), (*run).into()));
            }
        }
        scalars
    }

    /// Rebuilds a region of a parameter of `rank` dimensions from its scalars. `None` if one is
    /// missing or of another type, or they are of a version that this library does not know.
    pub(crate) fn from_scalars(
        rank: usize,
        mut scalar: impl FnMut(&str) -> Option<Scalar>,
    ) -> Option<Self> {
        if !knows_version(scalar(VERSION_FIELD)?) {
            return None;
        }
        let mut size = |name: &str| usize::try_from(scalar(name)?).ok();
        let age = size("age")?;
        let count = size("count")?;
        let steps = size("steps")?;
        let horizon = size("horizon")?;
        let extents = (0..rank).map(|dim| {
            let runs = (0..).map_while(|index| size(&format!("{dim}.{index}")));
            Extent {
                runs: runs.collect(),
            }
        });
        let extents = extents.collect();
        let scope = if bool::try_from(scalar("all")?).ok()? {
            RewarmupScope::All
        } else {
            RewarmupScope::NewCoordinates
        };
        let mut rate = |name: &str| f64::try_from(scalar(name)?).ok();
        let schedule = match (rate("min_lr"), rate("peak")) {
            (None, _) => RewarmupSchedule::Proportional,
            (Some(min_lr), None) => RewarmupSchedule::Cosine { min_lr },
            (Some(min_lr), Some(peak)) => RewarmupSchedule::Remapped {
                peak,
                min_lr,
                progress: rate("progress"),
                within: rate("within")?,
            },
        };
        let bias_correction = match (rate("beta_1"), rate("beta_2")) {
            (Some(beta_1), Some(beta_2)) => BiasCorrection::Restarted { beta_1, beta_2 },
            _ => BiasCorrection::Shared,
        };
        Some(Self {
            extents,
            age,
            count,
            start: rate("start"),
            ramp: Ramp {
                schedule,
                rho: rate("rho")?,
                steps,
                horizon,
                scope,
                bias_correction,
            },
        })
    }
}

/// Tells if this library reads regions of that version.
pub(crate) fn knows_version(version: Scalar) -> bool {
    u64::try_from(version) == Ok(VERSION)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Rewarmup;
    use crate::region::tests::region;

    fn back(scalars: &BTreeMap<String, Scalar>) -> Option<Region> {
        Region::from_scalars(2, |name| scalars.get(name).copied())
    }

    #[test]
    fn a_region_comes_back_from_its_scalars() {
        let rewarmups = [
            Rewarmup::proportional(),
            Rewarmup::proportional().with_scope(RewarmupScope::All),
            Rewarmup::cosine(1e-4),
            Rewarmup::cosine(1e-4).with_restarted_bias_correction(0.9, 0.95),
            Rewarmup::faster_decay(1.0, 0.1, 0.25),
            Rewarmup::remapped(1.0, 0.1, 0.3),
        ];
        for rewarmup in rewarmups {
            let mut region = region(&[&[2, 1, 2, 1], &[0, 4]]);
            region.ramp = rewarmup.ramp(10, 100);
            region.count = 10;
            for start in [None, Some(0.5)] {
                region.start = start;
                let scalars = region.scalars().into_iter().collect();
                assert_eq!(back(&scalars).as_ref(), Some(&region));
            }
        }
    }

    /// These names load for as long as there is a version 1.
    #[test]
    fn the_scalars_of_version_1_stay_what_they_are() {
        let mut region = region(&[&[2, 1], &[0, 4]]);
        region.ramp = Rewarmup::cosine(0.1)
            .with_rho(2.0)
            .with_steps(3)
            .with_restarted_bias_correction(0.9, 0.95)
            .ramp(10, 100);
        (region.age, region.count, region.start) = (5, 10, Some(0.5));
        let names: BTreeMap<_, _> = region.scalars().into_iter().collect();
        let expected: [(&str, Scalar); 15] = [
            ("0.0", 2_usize.into()),
            ("0.1", 1_usize.into()),
            ("1.0", 0_usize.into()),
            ("1.1", 4_usize.into()),
            ("age", 5_usize.into()),
            ("all", false.into()),
            ("beta_1", 0.9.into()),
            ("beta_2", 0.95.into()),
            ("count", 10_usize.into()),
            ("horizon", 90_usize.into()),
            ("min_lr", 0.1.into()),
            ("rho", 2.0.into()),
            ("start", 0.5.into()),
            ("steps", 3_usize.into()),
            ("version", 1_u64.into()),
        ];
        let expected = expected
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        assert_eq!(names, expected.collect());
    }

    #[test]
    fn a_region_of_another_version_is_not_read() {
        let region = region(&[&[2], &[3]]);
        let mut scalars: BTreeMap<_, _> = region.scalars().into_iter().collect();
        assert_eq!(back(&scalars), Some(region));
        scalars.insert(VERSION_FIELD.into(), 2_u64.into());
        assert_eq!(back(&scalars), None);
        scalars.remove(VERSION_FIELD);
        assert_eq!(back(&scalars), None);
    }
}
