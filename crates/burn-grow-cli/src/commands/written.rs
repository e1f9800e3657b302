//! What was written, in words.

use std::path::Path;

use burn_grow_cli::expand::Written;

use super::text;

/// Prints what became of the folder at `out`.
pub(super) fn print_written(out: &Path, written: &Written) {
    for file in &written.behind {
        println!("not copied, as it holds the weights as they were: {file}");
    }
    if written.resumed > 0 {
        println!("{} tensors were whole already", written.resumed);
    }
    if let Some(file) = &written.state {
        println!("the state of the optimizer: {file}");
    }
    if let Some(file) = &written.region {
        println!("which coordinates are new: {file}");
    }
    println!(
        "{}: {} tensors, {} in {} files",
        out.display(),
        written.tensors,
        text::bytes(written.bytes),
        written.files.len()
    );
}
