use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::check::{Check, On};
use crate::findings::Findings;
use crate::kind::Kind;

/// One line of the table.
fn row([check, seconds, kind, difference, bound]: [&str; 5]) {
    println!("| {check:<34} | {seconds:>7} | {kind:<15} | {difference:>10} | {bound:>6} |");
    let _ = std::io::stdout().flush();
}

/// Runs `checks` on the device and on Flex, prints what came out of each, and tells if all of them
/// passed.
pub(crate) fn run(checks: &[Check], on: &On) -> bool {
    println!("\n{}", on.backend.name());
    row(["check", "seconds", "kind", "difference", "bound"]);
    println!(
        "|{}|--------:|{}|-----------:|-------:|",
        "-".repeat(36),
        "-".repeat(17)
    );
    let mut failed = Vec::new();
    let mut largest: BTreeMap<Kind, (f64, usize)> = BTreeMap::new();
    let mut cannot = Vec::new();
    let began = Instant::now();
    for check in checks {
        let start = Instant::now();
        let found = computed(check, on);
        let seconds = format!("{:.1}", start.elapsed().as_secs_f64());
        if let Ok(Findings {
            cannot: Some(dtype),
            ..
        }) = found
        {
            row([check.name, &seconds, "cannot", "", ""]);
            cannot.push(format!(
                "{}: Device::supports_dtype({dtype:?}) is false",
                check.name
            ));
            continue;
        }
        let both = found.and_then(|found| Ok((found, computed(check, &On::flex())?)));
        let (found, expected) = match both {
            Ok(both) => both,
            Err(panic) => {
                row([check.name, &seconds, "panicked", "", ""]);
                failed.push(format!("{}: {panic}", check.name));
                continue;
            }
        };
        let differences = found.differences(&expected);
        if differences.is_empty() {
            row([check.name, &seconds, "holds", "", ""]);
        }
        let mut left = [check.name, seconds.as_str()];
        for (kind, (apart, tensor)) in differences {
            let bound = kind.bound(on.backend);
            let numbers = [format!("{apart:.1e}"), format!("{bound:.0e}")];
            row([left[0], left[1], kind.name(), &numbers[0], &numbers[1]]);
            left = [""; 2];
            if apart > bound {
                let name = kind.name();
                let check = check.name;
                failed.push(format!("{check}: {name}, {tensor}: {apart:.1e} apart"));
            }
            let (most, checks) = largest.entry(kind).or_default();
            *most = most.max(apart);
            *checks += 1;
        }
    }
    let all = began.elapsed().as_secs_f64();
    println!("\n{} checks in {all:.0} s; by kind:", checks.len());
    row(["kind", "checks", "", "difference", "bound"]);
    for (kind, (most, checks)) in largest {
        let bound = format!("{:.0e}", kind.bound(on.backend));
        row([
            kind.name(),
            &checks.to_string(),
            "",
            &format!("{most:.1e}"),
            &bound,
        ]);
    }
    for reason in cannot {
        println!("CANNOT {reason}");
    }
    for failure in &failed {
        println!("FAILED {failure}");
    }
    failed.is_empty()
}

/// What a check finds, or the message of its panic.
fn computed(check: &Check, on: &On) -> Result<Findings, String> {
    let mut found = Findings::default();
    match catch_unwind(AssertUnwindSafe(|| (check.run)(on, &mut found))) {
        Ok(()) => Ok(found),
        Err(panic) => Err(device::message(&*panic)),
    }
}
