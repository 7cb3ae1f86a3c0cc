//! The results for people: tables and a plot, made of what was measured and of nothing else.

pub(crate) mod svg;
pub(crate) mod table;

use std::path::Path;

use super::results::Results;
use crate::step::Result;

/// A document without words, for another folder than the documentation's.
const EMPTY: &str =
    "# How fast\n\n![plot](performance.svg)\n\n<!-- measured: start -->\n<!-- measured: end -->\n";

/// Names and what they stand for, in the tables' order.
pub(crate) type Names<'a> = &'a [(&'a str, &'a str)];

/// Merges new results into those of a folder, and makes table and plot of all.
pub(crate) fn write(
    folder: &Path,
    newer: &Results,
    scenarios: Names,
    growing: Names,
) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|e| format!("cannot create {}: {e}", folder.display()))?;
    let file = folder.join("performance.json");
    let mut results = Results::read(&file)?;
    results.merge(newer.clone());
    results.write(&file)?;
    let document = folder.join("performance.md");
    let text = match std::fs::read_to_string(&document) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => EMPTY.to_owned(),
        Err(e) => return Err(format!("cannot read {}: {e}", document.display())),
    };
    let generated = [
        table::table(&results, scenarios),
        table::machine(&results),
        "### Growth\n".to_owned(),
        table::growth(&results, growing),
        "### Instructions\n".to_owned(),
        table::instructions(&results),
        "### Every tool\n".to_owned(),
        table::details(&results, scenarios),
    ];
    let text = table::insert(&text, &generated.join("\n"))?;
    for (path, text) in
        [(document, text), (folder.join("performance.svg"), svg::plot(&results, scenarios))]
    {
        std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(())
}

/// Seconds as people read them.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        v if v >= 99.5 => format!("{v:.0} s"),
        v if v >= 9.95 => format!("{v:.1} s"),
        v if v >= 0.995 => format!("{v:.2} s"),
        v if v >= 0.0995 => format!("{:.0} ms", v * 1e3),
        v => format!("{:.1} ms", v * 1e3),
    }
}

/// Bytes as people read them.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_figures() {
        assert_eq!(
            [0.0042, 0.15, 1.234, 12.34, 123.4].map(seconds),
            ["4.2 ms", "150 ms", "1.23 s", "12.3 s", "123 s"]
        );
        assert_eq!(megabytes(12_400_000), "12 MB");
    }
}
