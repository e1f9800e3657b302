use std::collections::BTreeMap;

use crate::measure::{Hits, Scores};
use crate::page::gather::{Results, Scratch};
use crate::page::{ELSEWHERE, Evidence, figures, tables};
use crate::result::tests::result;
use crate::result::{Expanded, RunResult};
use crate::spec::{Experiment, Group, Published, groups};

fn results(name: &str, losses: [(u64, f64); 2]) -> Results {
    let rows = losses.map(|(seed, loss)| RunResult {
        seed,
        loss,
        expansions: Vec::new(),
        cosine: None,
        ..result(name)
    });
    Results {
        name: name.into(),
        wide: false,
        scratch: None,
        published: None,
        seeds: rows.to_vec(),
    }
}

/// A run that grows, one that does not, one from scratch, and one that is not run.
fn compared() -> Vec<Results> {
    let paper = |loss| {
        Some(Published {
            loss,
            saved: None,
            speed: None,
        })
    };
    let mut sparkling = results("sparkling/axis=both", [(0, 1.125), (1, 1.25)]);
    for row in &mut sparkling.seeds {
        (row.flops, row.flops_counted, row.cosine) = (3e12, 4.5e12, Some(0.25));
        (row.wall_s, row.steps) = (Some(60.0), 100);
    }
    sparkling.scratch = Some(Scratch {
        flops: 4e12,
        counted: 5e12,
    });
    sparkling.published = Some(Published {
        loss: 2.2415,
        saved: Some(0.35),
        speed: Some(1.49),
    });
    let mut small = results("small/axis=both", [(1, 1.5), (2, 1.0)]);
    small.published = paper(2.3673);
    let mut scratch = results("from-scratch/axis=both", [(0, 1.0), (1, 1.375)]);
    scratch.wide = true;
    for row in &mut scratch.seeds {
        // A second a step; the grown run took 60 for 100 of them.
        (row.wall_s, row.steps) = (Some(50.0), 50);
    }
    let mut absent = results("not-run/axis=both", [(0, 0.0), (1, 0.0)]);
    absent.seeds.clear();
    vec![sparkling, small, scratch, absent]
}

/// A Markdown table without the blanks that align its columns.
fn compact(table: &str) -> String {
    let cell = |cell: &str| match cell.trim() {
        rule if rule.starts_with("---") => "---".to_owned(),
        text => format!(" {text} "),
    };
    let line = |line: &str| -> String {
        let cells: Vec<String> = line.split('|').map(cell).collect();
        format!("|{}|\n", cells[1..cells.len() - 1].join("|"))
    };
    table.lines().map(line).collect()
}

fn grouped(compared: &[Results], reference: Option<&str>) -> Group {
    let names: Vec<&str> = compared
        .iter()
        .map(|results| results.name.as_str())
        .collect();
    let mut groups = groups(reference, &names).expect("groups");
    assert_eq!(groups.len(), 1);
    groups.remove(0)
}

#[test]
fn losses_stand_beside_those_of_the_reference_and_the_papers() {
    let compared = compared();
    let group = grouped(&compared, Some("sparkling"));
    let expected = "\
| run | seeds | loss | minus sparkling, paired | seeds of that sign | paper: loss | paper: minus sparkling |
|---|---|---|---|---|---|---|
| sparkling | 2 | 1.1875 +- 0.0884 |  |  | 2.2415 |  |
| small | 2 | 1.2500 +- 0.3536 | +0.2500 | 1 of 1 | 2.3673 | +0.1258 |
| from-scratch | 2 | 1.1875 +- 0.2652 | +0.0000 +- 0.1768 | 0 of 2 |  |  |
";
    assert_eq!(compact(&tables::losses(&group, &compared)), expected);
}

#[test]
fn without_a_reference_or_figures_their_columns_are_left_out() {
    let compared = vec![results("a", [(0, 1.0), (1, 2.0)])];
    let group = grouped(&compared, None);
    let expected = "| run | seeds | loss |\n|---|---|---|\n| a | 2 | 1.5000 +- 0.7071 |\n";
    assert_eq!(compact(&tables::losses(&group, &compared)), expected);
}

#[test]
fn several_groups_stand_side_by_side() {
    let compared = [
        results("off/steps=10", [(0, 1.5), (1, 1.25)]),
        results("peak/steps=10/rho=2.0", [(0, 1.25), (1, 1.0)]),
        results("off/steps=20", [(0, 1.0), (1, 1.0)]),
        results("peak/steps=20/rho=2.0", [(0, 1.5), (2, 9.0)]),
        Results {
            seeds: Vec::new(),
            ..results("peak/steps=20/rho=3.0", [(0, 0.0), (1, 0.0)])
        },
    ];
    let names: Vec<&str> = compared
        .iter()
        .map(|results| results.name.as_str())
        .collect();
    let groups = groups(Some("off"), &names).expect("groups");
    let expected = "\
| run | steps=10 | steps=20 |
|---|---|---|
| off | 1.3750 +- 0.1768 | 1.0000 +- 0.0000 |
| peak/rho=2.0 | -0.2500 +- 0.0000 | +0.5000 |
";
    let overview = tables::overview(&groups, &compared).expect("a table");
    assert_eq!(compact(&overview), expected);
    assert_eq!(tables::overview(&groups[..1], &compared), None);
}

#[test]
fn savings_are_against_the_last_model_from_scratch() {
    let compared = compared();
    let group = grouped(&compared, Some("sparkling"));
    let table = compact(&tables::costs(&group, &compared));
    let row = table.lines().nth(2).expect("a row");
    assert_eq!(
        row,
        "| sparkling | 100 | 75136 | 3.000e12 | 4.500e12 | 25 % | 10 % | 60 +- 0 | 40 +- 0 % | 35 % | 1.49x |"
    );
    let scratch = table.lines().nth(4).expect("a row");
    assert!(
        scratch.contains("| from-scratch | 50 | 75136 |"),
        "{scratch}"
    );
}

#[test]
fn seconds_of_another_model_or_not_known_are_not_compared() {
    let saved = |change: fn(&mut RunResult)| {
        let mut compared = compared();
        compared[2].seeds.iter_mut().for_each(change);
        let group = grouped(&compared, Some("sparkling"));
        tables::costs(&group, &compared).contains("saved seconds")
    };
    assert!(saved(|_| ()));
    assert!(!saved(|row| row.wall_s = None));
    assert!(!saved(|row| row.active += 1.0));
}

#[test]
fn scores_are_percents_of_what_there_is() {
    let mut compared = compared();
    for (row, right) in compared[0].seeds.iter_mut().zip([4, 6]) {
        row.scores = Scores {
            next_byte: Hits { right, of: 10 },
            closing: Hits { right: 0, of: 0 },
            ..row.scores
        };
        row.expansions = vec![Expanded {
            step: 50,
            loss_before: 1.25,
            loss_after: 1.5,
            max_logit_diff: 0.0,
            copy_cosine: None,
        }];
    }
    let group = grouped(&compared, Some("sparkling"));
    let table = compact(&tables::scores(&group, &compared));
    let row = table.lines().nth(2).expect("a row");
    assert_eq!(
        row,
        "| sparkling | 50.00 +- 14.14 % | 50.00 +- 0.00 % | 33.33 +- 0.00 % | 100.00 +- 0.00 % | +0.2500 +- 0.0000 | 0.2500 +- 0.0000 |"
    );
    assert!(!table.contains("closing brackets"));
}

/// Counts the circles, or the broad lines, that a drawing has beside its axes.
fn count(drawing: &str, element: &str, widths: &[&str]) -> usize {
    let broad = |line: &&str| {
        let has = |width| line.contains(&format!("stroke-width=\"{width}\""));
        widths.is_empty() || widths.iter().any(has)
    };
    let elements = drawing.lines().filter(|line| line.starts_with(element));
    elements.filter(broad).count()
}

#[test]
fn the_figure_has_a_dot_for_every_seed_of_both() {
    let compared = compared();
    let draw =
        |reference, of: &[Results]| figures::losses(&grouped(of, reference), of).expect("drawn");
    let drawing = draw(Some("sparkling"), &compared).expect("a figure");
    // small shares one seed with the reference, from-scratch two.
    assert_eq!(count(&drawing, "<circle", &[]), 3);
    assert_eq!(count(&drawing, "<polyline", &["8"]), 2);
    assert!(drawing.contains("\nsmall\n") && !drawing.contains("\nnot-run\n"));
    assert!(drawing.starts_with("<svg ") && drawing.contains("http://www.w3.org/2000/svg"));
    let losses = draw(None, &compared).expect("a figure");
    assert_eq!(count(&losses, "<circle", &[]), 6);
    let nothing = [compared[3].clone()];
    assert_eq!(draw(None, &nothing), None);
}

#[test]
fn curves_are_drawn_while_they_can_be_told_apart() {
    let mut many = compared();
    let draw =
        |of: &[Results]| figures::curves(&grouped(of, Some("sparkling")), of).expect("drawn");
    let drawing = draw(&many).expect("curves");
    assert_eq!(count(&drawing, "<polyline", &["8", "12"]), 3);
    for index in 0..13 {
        many.push(results(
            &format!("run {index}/axis=both"),
            [(0, 1.0), (1, 1.0)],
        ));
    }
    assert!(draw(&many).is_some());
    many.push(results("one more/axis=both", [(0, 1.0), (1, 1.0)]));
    assert_eq!(draw(&many), None);
}

fn demo() -> Vec<(String, Experiment)> {
    let demo = Experiment::demo().expect("the demonstration");
    vec![("demo".into(), demo)]
}

fn evidence(page: &str) -> anyhow::Result<Evidence> {
    let pages = BTreeMap::from([("page.md".to_owned(), page.to_owned())]);
    Evidence::of(&pages, &demo(), &[])
}

#[test]
fn a_page_is_filled_between_its_marks_and_left_alone_elsewhere() {
    let text = "# Page\n<!-- equal FLOPs: demo -->\nold\n<!-- end -->\nmore\n";
    let found = evidence(text).expect("a page");
    let page = &found.pages["page.md"];
    assert!(page.starts_with("# Page\n<!-- equal FLOPs: demo -->\n\n| runs | tokens for"));
    assert!(page.ends_with("|\n\n<!-- end -->\nmore\n"), "{page}");
    assert!(!page.contains("old"));
    // What was filled fills to itself.
    assert_eq!(evidence(page).expect("a page"), found);
    let none = evidence("# Page\n").expect("no place");
    assert_eq!(none.pages["page.md"], "# Page\n");
    let data = &found.data["demo.md"];
    assert!(data.contains("cargo xtask experiment demo") && data.ends_with("Not run yet.\n"));
}

#[test]
fn a_place_that_cannot_be_filled_is_named() {
    let place = "<!-- equal FLOPs: demo -->\n<!-- end -->\n";
    let cases = [
        ("<!-- equal FLOPs: demo -->\n".to_owned(), "does not end"),
        (
            "<!-- equal FLOPs: demo\n<!-- end -->".to_owned(),
            "does not end",
        ),
        (
            format!("<!-- equal FLOPs: demo -->\n{place}"),
            "does not end",
        ),
        (
            place.replace("demo", "demo, dmo"),
            "`equal FLOPs: demo, dmo`: there is no experiment `dmo`",
        ),
        ("<!-- loss".to_owned(), "a comment has no end"),
        (
            place.replace("equal FLOPs: demo", "los: demo"),
            "expected `equal FLOPs",
        ),
        (
            place.replace("equal FLOPs: demo", "loss: demo smal"),
            "`loss: demo smal`: `demo` has no run `smal`",
        ),
        (
            place.replace("equal FLOPs: demo", "loss: demo small"),
            "`loss: demo small`: there are no results",
        ),
        (
            place.replace("equal FLOPs: demo", "signs: demo small"),
            "expected `equal FLOPs",
        ),
    ];
    for (text, message) in cases {
        let error = format!("{:#}", evidence(&text).expect_err("a mistake"));
        assert!(
            error.starts_with("page.md: ") && error.contains(message),
            "{error}"
        );
    }
}

#[test]
fn figures_and_pages_that_are_gone_are_removed() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path().join("docs/src/evidence");
    for gone in ["figures/gone.svg", "data/gone.md"] {
        let path = root.join(gone);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, "text").expect("written");
    }
    let file = |name: &str| BTreeMap::from([(name.to_owned(), "text\n".to_owned())]);
    let pages = ELSEWHERE.into_iter().chain(["docs/src/evidence/page.md"]);
    let evidence = Evidence {
        pages: pages.flat_map(file).collect(),
        data: file("new.md"),
        figures: file("new.svg"),
    };
    evidence.write(folder.path()).expect("written");
    assert_eq!(Evidence::read(folder.path()).expect("read"), evidence);
}
