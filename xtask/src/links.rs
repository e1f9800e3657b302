//! Links and anchors of the written pages, checked without a network.
//!
//! A page of the book may link within the book alone, and a crate's README within the crate:
//! elsewhere the target is not there once the page is published.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::cargo::workspace;

/// The source of the book, whose table of contents has to list every page.
const BOOK: &str = "docs/src";
const CONTENTS: &str = "docs/src/SUMMARY.md";

/// Checks every Markdown page of the workspace and fails with a list of what leads nowhere.
pub(crate) fn check() -> anyhow::Result<()> {
    let root = workspace()?;
    let mut pages = HashMap::new();
    for path in markdown(&root)? {
        let text =
            fs::read_to_string(root.join(&path)).with_context(|| path.display().to_string())?;
        pages.insert(path, Page::parse(&text));
    }
    let mut faults = Vec::new();
    let mut links = 0;
    for (path, page) in &pages {
        links += page.links.len();
        for link in &page.links {
            if let Err(fault) = follow(&root, &pages, path, &link.target) {
                faults.push(format!(
                    "{}:{}: {}: {fault}",
                    path.display(),
                    link.line,
                    link.target
                ));
            }
        }
    }
    faults.extend(unlisted(&pages));
    if !faults.is_empty() {
        faults.sort();
        bail!("{} broken links\n{}", faults.len(), faults.join("\n"));
    }
    println!("{links} links on {} pages", pages.len());
    Ok(())
}

/// The Markdown files below `root`, relative to it; what is built or hidden is left out.
fn markdown(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if name.ends_with(".md") {
                files.push(path.strip_prefix(root)?.to_path_buf());
            }
        }
    }
    Ok(files)
}

#[derive(Debug)]
struct Link {
    line: usize,
    target: String,
}

/// What one page links to, and what others can link to on it.
#[derive(Debug, Default)]
struct Page {
    links: Vec<Link>,
    anchors: HashSet<String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<(Option<String>, String)> = None;
        let mut undefined = |link: pulldown_cmark::BrokenLink<'_>| match link.link_type {
            // `[text][name]` is meant as a link; brackets alone may be anything.
            LinkType::Reference
            | LinkType::ReferenceUnknown
            | LinkType::Collapsed
            | LinkType::CollapsedUnknown => {
                Some((format!("undefined:{}", link.reference).into(), "".into()))
            }
            _ => None,
        };
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_HEADING_ATTRIBUTES;
        let parser = Parser::new_with_broken_link_callback(text, options, Some(&mut undefined));
        let (mut line, mut counted) = (1, 0);
        for (event, range) in parser.into_offset_iter() {
            if range.start > counted {
                line += text[counted..range.start].matches('\n').count();
                counted = range.start;
            }
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    let target = dest_url.to_string();
                    page.links.push(Link { line, target });
                }
                Event::Start(Tag::Heading { id, .. }) => {
                    heading = Some((id.map(|id| id.to_string()), String::new()));
                }
                Event::End(TagEnd::Heading(_)) => {
                    let (id, title) = heading.take().unwrap_or_default();
                    page.anchor(id.unwrap_or_else(|| slug(&title)));
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some((_, title)) = &mut heading {
                        title.push_str(&part);
                    }
                }
                Event::Html(html) | Event::InlineHtml(html) => page.html(&html, line),
                _ => {}
            }
        }
        page
    }

    /// Adds an anchor, with a number behind it where the page has it already.
    fn anchor(&mut self, id: String) {
        let numbered = (1..).map(|number| format!("{id}-{number}"));
        let mut candidates = [id.clone()].into_iter().chain(numbered);
        candidates.find(|candidate| self.anchors.insert(candidate.clone()));
    }

    /// Adds the links and anchors of a piece of HTML.
    fn html(&mut self, html: &str, line: usize) {
        for name in ["href", "src"] {
            for target in attributes(html, name) {
                let target = target.to_owned();
                self.links.push(Link { line, target });
            }
        }
        for name in ["id", "name"] {
            self.anchors
                .extend(attributes(html, name).map(str::to_owned));
        }
    }
}

/// The values of `name="value"` in a piece of HTML.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {name}=\"");
    let pieces = html.split(&start).skip(1).collect::<Vec<_>>();
    pieces
        .into_iter()
        .filter_map(|piece| piece.split('"').next())
}

/// The anchor that mdBook and the usual hosts give a heading.
fn slug(title: &str) -> String {
    let kept = title.trim().chars().filter_map(|character| {
        if character.is_whitespace() {
            Some('-')
        } else if character.is_alphanumeric() || "_-".contains(character) {
            Some(character)
        } else {
            None
        }
    });
    kept.collect::<String>().to_lowercase()
}

/// Says what is wrong with a link of the page `from`.
fn follow(
    root: &Path,
    pages: &HashMap<PathBuf, Page>,
    from: &Path,
    target: &str,
) -> Result<(), String> {
    if let Some(name) = target.strip_prefix("undefined:") {
        return Err(format!("no `[{name}]: ..` on this page"));
    }
    if ["http:", "https:", "mailto:"]
        .iter()
        .any(|scheme| target.starts_with(scheme))
    {
        return Ok(());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        from.to_path_buf()
    } else {
        let folder = from.parent().unwrap_or(Path::new(""));
        join(folder, &file.replace("%20", " ")).ok_or("leaves the repository")?
    };
    if !root.join(&path).exists() {
        return Err("no such file".into());
    }
    let home = home(from);
    if !path.starts_with(&home) {
        return Err(format!(
            "leaves {}, where the page is read without the rest",
            home.display()
        ));
    }
    if anchor.is_empty() {
        return Ok(());
    }
    match pages.get(&path) {
        Some(page) if !page.anchors.contains(anchor) => Err("no such heading".into()),
        _ => Ok(()),
    }
}

/// The folder that a page is published with.
fn home(page: &Path) -> PathBuf {
    let mut parts = page.components();
    if page.starts_with(BOOK) {
        BOOK.into()
    } else if page.starts_with("crates") {
        parts.by_ref().take(2).collect()
    } else {
        PathBuf::new()
    }
}

/// A relative path behind a folder, without `..`; nothing where it leads out of the workspace.
pub(crate) fn join(folder: &Path, relative: &str) -> Option<PathBuf> {
    let mut path = folder.to_path_buf();
    for component in Path::new(relative).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Pages of the book that its table of contents forgot: mdBook leaves them out without a word.
fn unlisted(pages: &HashMap<PathBuf, Page>) -> Vec<String> {
    let contents = Path::new(CONTENTS);
    let Some(summary) = pages.get(contents) else {
        return Vec::new();
    };
    let listed: HashSet<_> = summary
        .links
        .iter()
        .filter_map(|link| join(Path::new(BOOK), &link.target))
        .collect();
    pages
        .keys()
        .filter(|page| page.starts_with(BOOK) && *page != contents && !listed.contains(*page))
        .map(|page| format!("{}: not in {CONTENTS}", page.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_become_anchors_as_mdbook_makes_them() {
        let page = Page::parse("# What it does\n\n## `At::step`, & more\n\n## What it does\n");
        let expected = ["what-it-does", "atstep--more", "what-it-does-1"];
        assert_eq!(page.anchors, expected.map(String::from).into());
    }

    #[test]
    fn links_of_every_kind_are_found_with_their_line() {
        let text =
            "[a](b.md)\n![c](d.svg)\n\n<img src=\"e.svg\"> [f][g] [h][i] [j]\n\n[g]: k.md#l\n";
        let found: Vec<_> = Page::parse(text)
            .links
            .into_iter()
            .map(|link| (link.line, link.target))
            .collect();
        let expected = [
            (1, "b.md"),
            (2, "d.svg"),
            (4, "e.svg"),
            (4, "k.md#l"),
            (4, "undefined:i"),
        ];
        assert_eq!(
            found,
            expected.map(|(line, target)| (line, target.to_owned()))
        );
    }

    #[test]
    fn a_relative_path_stays_in_the_workspace() {
        let folder = Path::new("docs/src/guide");
        assert_eq!(join(folder, "../a.md"), Some("docs/src/a.md".into()));
        assert_eq!(join(folder, "../../../../a.md"), None);
        assert_eq!(
            home(Path::new("crates/burn-grow/README.md")),
            Path::new("crates/burn-grow")
        );
    }
}
