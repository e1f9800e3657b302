/// The lengths of a run in optimizer steps: those that it was planned with before it was extended,
/// and the present one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lengths {
    /// Shortest first.
    pub(super) before: Vec<usize>,
    pub(super) total: usize,
}

impl Lengths {
    /// The length that was planned when `step` was first reached, in which an expansion after that
    /// step is placed.
    pub(crate) fn of(&self, step: usize) -> usize {
        let before = self.before.iter().find(|before| step < **before);
        before.copied().unwrap_or(self.total)
    }
}
