//! burn-train's progress log, as events.

use std::sync::Arc;

use burn_train::logger::TrainingProgressLogger;

use super::event::Event;
use super::run::Run;

/// Turns burn-train's progress log into events, then hands it on to the user's own logger.
pub(crate) struct Progress {
    pub(crate) run: Arc<Run>,
    pub(crate) next: Option<Box<dyn TrainingProgressLogger>>,
}

impl TrainingProgressLogger for Progress {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        total_items: Option<usize>,
        label: Option<&str>,
    ) {
        self.run.session().first_epoch.epochs = Some(total_epochs);
        self.run.decisions.emit(&Event::Start {
            total_epochs,
            starting_epoch,
        });
        if let Some(next) = &mut self.next {
            next.start(total_epochs, starting_epoch, total_items, label);
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        if let Some(next) = &mut self.next {
            next.update_epoch(epoch);
        }
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        if split == "train" {
            self.run.session().first_epoch.items = Some(total_items);
        }
        self.run
            .decisions
            .emit(&Event::SplitStart { split, total_items });
        if let Some(next) = &mut self.next {
            next.start_split(split, total_items);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        self.run.decisions.emit(&Event::Items {
            processed: items_processed,
        });
        if let Some(next) = &mut self.next {
            next.update_split(items_processed);
        }
    }

    fn end_split(&mut self) {
        self.run.decisions.emit(&Event::SplitEnd);
        if let Some(next) = &mut self.next {
            next.end_split();
        }
    }

    fn end(&mut self) {
        let position = self.run.session().reached.position;
        let shortfall = self.run.shortfall(position);
        if let (None, Some(shortfall)) = (self.run.failure(), shortfall) {
            log::warn!("{shortfall}");
        }
        self.run.decisions.emit(&Event::End);
        if let Some(next) = &mut self.next {
            next.end();
        }
    }

    fn log_event_training(&mut self, event: String) {
        if let Some(next) = &mut self.next {
            next.log_event_training(event);
        }
    }
}
