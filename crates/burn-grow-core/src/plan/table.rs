//! The dry-run table: a plan as text.

use core::fmt;

use super::axis_plan::AxisPlan;
use super::model::Plan;
use super::param::ParamContent;
use crate::cost::training_flops;
use crate::describe::axis::Axis;
use crate::describe::role::RoleKind;
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
            let old = match param.content() {
                None => shape(&param.old_shape),
                Some(ParamContent::Copy) => "copy".into(),
                Some(ParamContent::Zero) => "zero".into(),
                Some(ParamContent::Drawn) => "drawn".into(),
                Some(ParamContent::Fresh) => "fresh".into(),
            };
            rows.push(vec![
                param.path.clone(),
                old,
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
            let (old, new) = (planned.old_width(), planned.new_width());
            writeln!(
                f,
                "axis {axis}: {old} -> {new}{}",
                self.filling(axis, planned)
            )?;
        }
        for change in self.routing_changes() {
            writeln!(f, "{change}")?;
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

impl Plan {
    /// What the new units of an axis hold, and the factor of those who read them: the init pair is
    /// of producers and consumers, and only consumers are multiplied.
    fn filling(&self, axis: &Axis, planned: &AxisPlan) -> String {
        if let Some(content) = planned.blocks().filter(|_| planned.grows()) {
            let kept = planned.kept_blocks();
            let blocks = planned.source().iter().enumerate();
            let blocks = blocks.map(|(block, source)| match kept.contains(&block) {
                true => source.to_string(),
                false if planned.old_width() == 0 => "+".into(),
                false => format!("+{source}"),
            });
            let blocks: Vec<_> = blocks.collect();
            return format!(", {content}: {}", blocks.join(" "));
        }
        let kinds = self.kinds(axis);
        let has = |kind| kinds.contains(&kind);
        let mut filling = if has(RoleKind::FanOut) || has(RoleKind::FanIn) || has(RoleKind::Gate) {
            format!(", {}", planned.method())
        } else if has(RoleKind::Vocab) {
            ", random".into()
        } else if has(RoleKind::Gain) {
            ", copied".into()
        } else {
            String::new()
        };
        if let Some(factor) = self.applied_factor(axis) {
            filling += &format!(", factor {factor}");
        }
        filling
    }
}

fn shape(shape: &[usize]) -> String {
    let sizes: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}
