//! The dry-run table: a plan as text.

use core::fmt;

use super::model::Plan;
use crate::cost::training_flops;
use crate::table::table;

/// Prints the dry-run table: parameters, multipliers, axes, and the counts before and after.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["parameter", "old", "new", "roles", "factor"];
        let mut rows = vec![header.map(String::from).to_vec()];
        for param in self.params() {
            let roles = param.roles.iter().map(|role| match role {
                Some(role) => role.to_string(),
                None => "-".into(),
            });
            let factors = self.factors(param).map(|axis| axis.factor().to_string());
            rows.push(vec![
                param.path.clone(),
                shape(&param.old_shape),
                shape(&param.new_shape),
                roles.collect::<Vec<_>>().join(", "),
                factors.collect::<Vec<_>>().join(" x "),
            ]);
        }
        for multiplier in &self.multipliers {
            let factor = format!("{:.4}", multiplier.value);
            let row = [multiplier.path.as_str(), "", "", "multiplier", &factor];
            rows.push(row.map(String::from).to_vec());
        }
        for kept in &self.kept {
            let value = format!("{:.4}", kept.value);
            let row = [kept.path.as_str(), &value, &value, "kept", ""];
            rows.push(row.map(String::from).to_vec());
        }
        f.write_str(&table(&rows))?;
        for (axis, planned) in &self.axes {
            writeln!(
                f,
                "axis {axis}: {} -> {}, {}, factor {}",
                planned.old_width(),
                planned.new_width(),
                planned.method(),
                planned.factor()
            )?;
        }
        for kept in &self.kept {
            writeln!(
                f,
                "`{}` keeps its value, which a model built at the new width of {} does not have",
                kept.path, kept.axis
            )?;
        }
        let (old, new) = self.num_params();
        writeln!(f, "parameters: {old} -> {new}")?;
        let (old, new) = self.active_params();
        writeln!(f, "active parameters: {old:.0} -> {new:.0}")?;
        let (old, new) = (training_flops(old, 1.0), training_flops(new, 1.0));
        write!(f, "training FLOPs per token (6N): {old:.3e} -> {new:.3e}")
    }
}

fn shape(shape: &[usize]) -> String {
    let sizes: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
