/// The old part of one dimension: the lengths of the runs of old and new coordinates in turn, old
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The lengths.
    pub(crate) runs: Vec<usize>,
}

impl Extent {
    /// The runs of coordinates that are each old or new.
    pub(crate) fn of(old: impl IntoIterator<Item = bool>) -> Self {
        let mut runs = Vec::new();
        let (mut run, mut last) = (0, true);
        for old in old {
            if old != last {
                runs.push(run);
                (run, last) = (0, old);
            }
            run += 1;
        }
        runs.push(run);
        Self { runs }
    }

    /// `size` coordinates, all of them old or all of them new.
    pub(crate) fn uniform(size: usize, old: bool) -> Self {
        Self::of(core::iter::repeat_n(old, size))
    }

    /// The number of coordinates, if it can be counted.
    pub(crate) fn size(&self) -> Option<usize> {
        let mut runs = self.runs.iter();
        runs.try_fold(0_usize, |sum, run| sum.checked_add(*run))
    }

    /// Tells of each coordinate if it was there before the expansion.
    pub(crate) fn is_old(&self) -> impl Iterator<Item = bool> + '_ {
        self.runs
            .iter()
            .enumerate()
            .flat_map(|(index, run)| core::iter::repeat_n(index % 2 == 0, *run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_is_of_old_coordinates() {
        let runs = |old: &[bool]| Extent::of(old.iter().copied()).runs;
        assert_eq!(runs(&[]), [0]);
        assert_eq!(runs(&[true, true, false]), [2, 1]);
        assert_eq!(runs(&[false, true]), [0, 1, 1]);
        assert_eq!(Extent::uniform(3, false).runs, [0, 3]);
        assert_eq!(
            Extent::of([false, true, true]).is_old().collect::<Vec<_>>(),
            [false, true, true]
        );
    }
}
