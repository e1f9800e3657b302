use core::fmt::Write;

use crate::report::dumbbell::{Dumbbell, dumbbells};
use crate::report::json::{ArmReport, Report};
use crate::report::plot::{Chart, Line, escape, thousands};
use crate::report::{
    COLUMNS, FROM_SCRATCH, LOCKED_CONTROL, NAIVE_COPY, SMALL, SMALL_LONGER, SPARKLING, rows,
};

const STYLE: &str = include_str!("style.css");

/// The report as one page that needs nothing else.
pub(crate) fn page(report: &Report) -> String {
    let mut body = String::new();
    let growing = match report.axis.as_str() {
        "both" => "hidden and inner width".to_owned(),
        axis => format!("{axis} width"),
    };
    // Writing to a string does not fail.
    let _ = write!(
        body,
        "<h1>A language model that widens while it trains</h1>\
         <p class=\"lead\">A byte-level mixture of experts whose {growing} grows \
         {factor}-fold at step {at} of {steps}, beside the runs it has to be compared with: same data, \
         same order, same first half. Losses are cross entropies in nats per byte, on text held out from \
         training.</p>",
        factor = report.factor,
        at = thousands(report.expand_at as f64),
        steps = thousands(report.steps as f64),
    );
    if !report.finished {
        body += "<p class=\"warning\">This run was stopped: what follows is what was done by then. \
                 <code>--resume</code> goes on with it.</p>";
    }
    body += &tiles(report);
    body += &table(report);
    body += "<div class=\"grid\">";
    for (title, about, drawing) in figures(report) {
        body += &card("card", title, &about, &drawing);
    }
    body += "</div>";
    body += &footer(report);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>A language model that widens while it trains</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>\n"
    )
}

fn card(class: &str, title: &str, about: &str, content: &str) -> String {
    format!(
        "<section class=\"{class}\"><h2>{}</h2><p>{}</p>{content}</section>",
        escape(title),
        escape(about)
    )
}

/// The numbers to read first.
fn tiles(report: &Report) -> String {
    let mut tiles = Vec::new();
    let loss = |name| report.arm(name).and_then(|arm| arm.val_loss);
    if let Some(sparkling) = loss(SPARKLING) {
        tiles.push((
            format!("{sparkling:.4}"),
            "held-out loss of the grown model".to_owned(),
        ));
        let mut against = |name, text: &str| {
            if let Some(other) = loss(name) {
                tiles.push((signed(sparkling - other), text.to_owned()));
            }
        };
        against(NAIVE_COPY, "against naive growth");
        against(SMALL_LONGER, "against the small model at equal FLOPs");
        against(FROM_SCRATCH, "against from scratch at equal FLOPs");
    }
    let saved = &report.saved;
    let wall = saved
        .wall
        .map(|wall| format!(" and {:.0} % of the time here", 100.0 * wall).replace('-', "\u{2212}"))
        .unwrap_or_default();
    tiles.push((
        format!(
            "{:.0} %",
            100.0 * saved.flops_vs_from_scratch_at_equal_tokens
        ),
        format!("of FLOPs{wall} saved, against from scratch at equal tokens"),
    ));
    let mut html = String::from("<div class=\"tiles\">");
    for (number, text) in tiles {
        let _ = write!(
            html,
            "<div class=\"tile\"><b>{}</b><span>{}</span></div>",
            escape(&number),
            escape(&text)
        );
    }
    html + "</div>"
}

fn signed(value: f64) -> String {
    format!("{value:+.4}").replace('-', "\u{2212}")
}

fn table(report: &Report) -> String {
    let mut html = String::from("<table><thead><tr>");
    for column in COLUMNS {
        let _ = write!(html, "<th>{column}</th>");
    }
    html += "</tr></thead><tbody>";
    for (row, arm) in rows(report).iter().skip(1).zip(&report.arms) {
        let _ = write!(
            html,
            "<tr class=\"{0}\"><td class=\"arm\"><span class=\"dot {0}\"></span>{0} \
             <small>{1}</small></td>",
            escape(&arm.name),
            escape(&arm.about)
        );
        for cell in &row[1..] {
            let _ = write!(html, "<td>{}</td>", escape(&cell.replace('-', "\u{2212}")));
        }
        html += "</tr>";
    }
    html += "</tbody></table>";
    card(
        "card wide",
        "The arms",
        "Grown arms share the small one's first half, which their time and FLOPs include. FLOPs are \
         6 x active parameters x tokens; savings are against the wide model on as many tokens.",
        &html,
    )
}

fn footer(report: &Report) -> String {
    let commit = match &report.git {
        Some(commit) => format!(" at <code>{}</code>", escape(commit)),
        None => String::new(),
    };
    let sizes = &report.model;
    format!(
        "<footer>Seed {seed}{commit}. {bytes} bytes of text from {files} files. {layers} layers, \
         {experts} experts of which {top} are active, hidden {hidden} \u{2192} {wide_hidden}, inner {inner} \
         \u{2192} {wide_inner}; {active} \u{2192} {wide_active} active parameters. Re-warmup to {rho} times \
         the rate in {tau} steps: a higher peak than the paper's 1.3, which is for far longer horizons. \
         The numbers are in <code>report.json</code>.</footer>",
        seed = report.seed,
        bytes = thousands(report.corpus.bytes as f64),
        files = thousands(report.corpus.files as f64),
        layers = sizes.narrow.n_layers,
        experts = sizes.narrow.n_experts,
        top = sizes.narrow.top_k,
        hidden = sizes.narrow.hidden,
        wide_hidden = sizes.wide.hidden,
        inner = sizes.narrow.inner,
        wide_inner = sizes.wide.inner,
        active = thousands(sizes.active_params.0),
        wide_active = thousands(sizes.active_params.1),
        rho = report.rho,
        tau = report.tau_steps,
    )
}

/// The figures: title, what to see, drawing.
fn figures(report: &Report) -> Vec<(&'static str, String, String)> {
    let mut figures = vec![
        (
            "Held-out loss against steps",
            "At the end of every epoch, on fewer windows than the table's: compare lines, not the two."
                .to_owned(),
            losses(report, "step", false),
        ),
        (
            "Held-out loss against FLOPs",
            "Where lines end at the same place, they cost the same.".to_owned(),
            losses(report, "FLOPs, 6ND, in units of 10\u{b9}\u{b2}", true),
        ),
    ];
    if let Some(drawing) = around(report) {
        figures.push((
            "Training loss around the expansion",
            "Growing by a whole factor keeps the function, so nothing jumps at the step itself. What rises \
             after it is how the wide model takes its rate, re-warmed or not."
                .into(),
            drawing,
        ));
    }
    if let Some(drawing) = rates(report) {
        let about = format!(
            "New coordinates start at the present rate, climb to {} times it in {} steps, and end with the \
             old ones. The locked control moves all coordinates on that line.",
            report.rho, report.tau_steps
        );
        figures.push(("Learning rates", about, drawing));
    }
    if let Some(drawing) = cosines(report) {
        figures.push((
            "Cosine between old units and their copies",
            "At 1 the copies still are copies: the symmetry lock, in which a wider model can do no more \
             than the small one."
                .into(),
            drawing,
        ));
    }
    if let Some((drawing, step)) = activations(report) {
        let about = format!(
            "Root mean square at step {}, before (ring) and after (dot) the expansion.",
            thousands(step as f64)
        );
        figures.push(("Activations across the expansion", about, drawing));
    }
    figures
}

fn line(arm: &ArmReport, points: Vec<(f64, f64)>) -> Line {
    Line {
        name: arm.name.clone(),
        class: arm.name.clone(),
        points,
    }
}

/// The method is drawn last, over the others.
fn arms(report: &Report) -> impl Iterator<Item = &ArmReport> {
    let last = |arm: &&ArmReport| arm.name == SPARKLING;
    let others = report.arms.iter().filter(move |arm| !last(arm));
    others.chain(report.arms.iter().filter(last))
}

fn points(points: &[(usize, f64)]) -> Vec<(f64, f64)> {
    points
        .iter()
        .map(|(step, value)| (*step as f64, *value))
        .collect()
}

/// The losses, from where they have fallen most of the way.
fn losses(report: &Report, x_label: &'static str, by_flops: bool) -> String {
    let mut lines = Vec::new();
    let (mut low, mut high) = (f64::MAX, f64::MIN);
    for arm in arms(report) {
        for (step, loss) in &arm.val_curve {
            low = low.min(*loss);
            if *step * 8 >= report.steps {
                high = high.max(*loss);
            }
        }
        let mut curve = points(&arm.val_curve);
        if by_flops {
            for point in &mut curve {
                point.0 = report.flops(arm, point.0) / 1e12;
            }
        }
        lines.push(line(arm, curve));
    }
    let margin = 0.03 * (high - low);
    Chart {
        x_label,
        y_label: "held-out loss",
        lines,
        mark: (!by_flops).then_some((report.expand_at as f64, "expansion")),
        x_range: (!by_flops).then(|| {
            let steps = report.arms.iter().map(|arm| arm.steps).max();
            (0.0, steps.unwrap_or(0).max(report.steps) as f64)
        }),
        y_range: (high > low).then_some((low - margin, high)),
        ..Chart::default()
    }
    .svg()
}

/// The training losses of the grown arms and the small one near the expansion, smoothed.
fn around(report: &Report) -> Option<String> {
    let at = report.expand_at as f64;
    let reach = 0.06 * report.steps as f64;
    let range = (at - reach, at + 2.0 * reach);
    let mut lines = Vec::new();
    for arm in arms(report) {
        if arm.expansion.is_none() && arm.name != SMALL {
            continue;
        }
        let curve = smoothed(&points(&arm.train_loss));
        let near = |point: &(f64, f64)| (range.0..=range.1).contains(&point.0);
        lines.push(line(arm, curve.into_iter().filter(near).collect()));
    }
    lines.iter().any(|line| line.points.len() > 4).then(|| {
        Chart {
            x_label: "step",
            y_label: "training loss",
            lines,
            mark: Some((at, "expansion")),
            x_range: Some(range),
            ..Chart::default()
        }
        .svg()
    })
}

/// An exponential mean that reaches back about eight points.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut mean = None;
    points
        .iter()
        .map(|(x, y)| {
            let next = mean.map_or(*y, |mean| 0.875 * mean + 0.125 * y);
            mean = Some(next);
            (*x, next)
        })
        .collect()
}

fn rates(report: &Report) -> Option<String> {
    let grown = report.arm(SPARKLING).or_else(|| report.arm(LOCKED_CONTROL));
    let mut lines = Vec::new();
    if let Some(arm) = report.arm(FROM_SCRATCH) {
        let curve = arm.lr.iter().map(|(step, rate, _)| (*step as f64, *rate));
        lines.push(line(arm, curve.collect()));
    }
    let arm = grown?;
    let old = arm.lr.iter().map(|(step, rate, _)| (*step as f64, *rate));
    let new = arm.lr.iter();
    let new = new.filter_map(|(step, _, rate)| rate.map(|rate| (*step as f64, rate)));
    for (name, class, points) in [
        ("old units", "small", old.collect::<Vec<_>>()),
        ("new units", "sparkling", new.collect()),
    ] {
        lines.push(Line {
            name: name.into(),
            class: class.into(),
            points,
        });
    }
    let highest = lines.iter().flat_map(|line| &line.points);
    let highest = highest.fold(0.0, |highest: f64, point| highest.max(point.1));
    let chart = Chart {
        x_label: "step",
        y_label: "learning rate",
        lines,
        mark: Some((report.expand_at as f64, "expansion")),
        x_range: Some((0.0, report.steps as f64)),
        y_range: Some((0.0, 1.12 * highest)),
        ..Chart::default()
    };
    Some(chart.svg())
}

fn cosines(report: &Report) -> Option<String> {
    let mut lines = Vec::new();
    let mut low: f64 = 0.9;
    for arm in arms(report) {
        if let Some(cosine) = arm.cosine.as_ref().filter(|cosine| !cosine.is_empty()) {
            low = cosine.iter().fold(low, |low, point| low.min(point.1));
            lines.push(line(arm, points(cosine)));
        }
    }
    if lines.is_empty() {
        return None;
    }
    let chart = Chart {
        x_label: "step",
        y_label: "mean cosine",
        lines,
        x_range: Some((report.expand_at as f64, report.steps as f64)),
        y_range: Some((if low < 0.0 { -1.0 } else { 0.0 }, 1.04)),
        ..Chart::default()
    };
    Some(chart.svg())
}

fn activations(report: &Report) -> Option<(String, usize)> {
    let arm = arms(report).filter(|arm| arm.expansion.is_some()).last()?;
    let expansion = arm.expansion.as_ref()?;
    let rows: Vec<_> = expansion
        .rms
        .iter()
        .map(|rms| Dumbbell {
            name: rms.site.clone(),
            before: rms.before,
            after: rms.after,
        })
        .collect();
    (!rows.is_empty()).then(|| (dumbbells(&rows, "RMS of the activation"), expansion.step))
}
