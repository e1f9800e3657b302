//! The experiments on burn-grow: what is run, measured and published.
//!
//! One run has four names on its way. A [`spec::Spec`] says in an experiment file what to do; a
//! [`run::Run`] is that under settings and with a seed, everything worked out; a [`log::Log`] is
//! what it writes down while it trains; a [`result::RunResult`] is what it has to show at its end,
//! a line of `lab/results.jsonl`. Runs that grow continue from the checkpoint of the small one, so
//! all of them share a prefix.
//!
//! A [`campaign::Campaign`] does the runs of an experiment, [`page`] publishes their results. The
//! demonstration ([`demo`]) is the experiment that the program carries with it; it has a
//! [`report`].
//!
//! Modules use those above them in this list: `json`, `files`, `table`, `chart`; `spec`; `text`;
//! `log`; `measure`; `run`; `result`; `page`, `report`; `campaign`, `demo`; `cli`.

pub mod campaign;
pub mod chart;
pub mod cli;
pub mod demo;
pub mod files;
pub mod json;
pub mod log;
pub mod measure;
pub mod page;
pub mod report;
pub mod result;
pub mod run;
pub mod spec;
pub mod table;
pub mod text;
