use std::time::{Duration, Instant};

/// Checks in turn: names each before it runs, and at the end says how long each one took.
#[derive(Default)]
pub(crate) struct Steps {
    taken: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Runs one check; the first that fails ends the command.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        check: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        println!("\n== {name}");
        let started = Instant::now();
        check()?;
        self.taken.push((name, started.elapsed()));
        Ok(())
    }

    /// Prints what each check took, and all of them together.
    pub(crate) fn finish(self) {
        let all = self.taken.iter().map(|(_, time)| time).sum();
        println!("\n== passed");
        for (name, time) in self.taken.into_iter().chain([("all", all)]) {
            println!(
                "{:>4}:{:02} {name}",
                time.as_secs() / 60,
                time.as_secs() % 60
            );
        }
    }
}
