//! What `build --call outline` and `--call targets` answer, for people.

use crate::check::{Outline, OutlineMount, Target};

/// What a target takes.
pub fn outline(outline: &Outline) -> String {
    let mut out = String::new();
    if outline.name.is_some() || outline.description.is_some() {
        let name = outline.name.as_deref().unwrap_or("(default)");
        let mut rows = vec![vec!["TARGET:", name]];
        rows.extend(outline.description.as_deref().map(|text| vec!["DESCRIPTION:", text]));
        section(&mut out, &rows, 1);
    }
    if !outline.arguments.is_empty() {
        let mut rows = vec![vec!["BUILD ARG", "VALUE", "DESCRIPTION"]];
        rows.extend(outline.arguments.iter().map(|argument| {
            vec![&*argument.name, &*argument.value, argument.description.as_deref().unwrap_or("")]
        }));
        section(&mut out, &rows, 3);
    }
    for (heading, mounts) in [("SECRET", &outline.secrets), ("SSH", &outline.agents)] {
        if !mounts.is_empty() {
            section(&mut out, &mount_rows(heading, mounts), 3);
        }
    }
    out
}

fn mount_rows<'a>(heading: &'a str, mounts: &'a [OutlineMount]) -> Vec<Vec<&'a str>> {
    let mut rows = vec![vec![heading, "REQUIRED"]];
    let required = |mount: &OutlineMount| if mount.required { "true" } else { "" };
    rows.extend(mounts.iter().map(|mount| vec![&*mount.id, required(mount)]));
    rows
}

/// The stages.
pub fn targets(targets: &[Target]) -> String {
    let names: Vec<String> = targets.iter().map(shown_name).collect();
    let mut rows = vec![vec!["TARGET", "DESCRIPTION"]];
    rows.extend(
        targets
            .iter()
            .zip(&names)
            .map(|(target, name)| vec![name.as_str(), target.description.as_deref().unwrap_or("")]),
    );
    columns(&rows, 1)
}

fn shown_name(target: &Target) -> String {
    match (&target.name, target.is_default) {
        (None, true) => "(default)".to_owned(),
        (Some(name), true) => format!("{name} (default)"),
        (name, false) => name.clone().unwrap_or_default(),
    }
}

fn section(out: &mut String, rows: &[Vec<&str>], gap: usize) {
    out.push_str(&columns(rows, gap));
    out.push('\n');
}

/// Lines rows up, `gap` blanks between columns; blanks before an empty last cell stay.
fn columns(rows: &[Vec<&str>], gap: usize) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| widest(column).unwrap_or(0) + gap).collect();
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            match column + 1 == count {
                true => out.push_str(cell),
                false => out.push_str(&format!("{cell:0$}", widths[column])),
            }
        }
        out.push('\n');
    }
    out
}
