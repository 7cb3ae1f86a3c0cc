//! The results as a plot: a bar for Tierce, a bar for the best peer, a line for the limit, on a
//! logarithmic scale of time.

use std::fmt::Write as _;

use super::{Names, seconds};
use crate::bench::results::{Results, Row, Runs};

/// Widths and heights in the plot's own units.
const WIDTH: f64 = 900.0;
const NAMES: f64 = 150.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 56.0;
const ROW: f64 = 42.0;
const BAR: f64 = 13.0;

/// Both in the light and in the dark.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}\
.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#57606a}\
.ours{fill:#0969da}.peer{fill:#8c959f}.limit{stroke:#1a7f37;stroke-width:3}\
.grid{stroke:#d0d7de;stroke-width:1}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.ours{fill:#4493f8}\
.peer{fill:#656c76}.limit{stroke:#3fb950}.grid{stroke:#3d444d}}";

/// A scale on which each power of ten has the same width.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    /// From the power of ten below the least time to the one above the greatest.
    fn around(times: &[f64]) -> Option<Self> {
        let least = times.iter().copied().reduce(f64::min)?;
        let most = times.iter().copied().reduce(f64::max)?;
        let from = least.log10().floor();
        Some(Scale { from, to: most.log10().ceil().max(from + 1.0) })
    }

    fn x(&self, time: f64) -> f64 {
        let share = (time.log10() - self.from) / (self.to - self.from);
        NAMES + share.clamp(0.0, 1.0) * (WIDTH - NAMES - RIGHT)
    }

    /// The powers of ten.
    fn marks(&self) -> impl Iterator<Item = f64> + '_ {
        let count = (self.to - self.from) as i32;
        (0..=count).map(|i| 10_f64.powf(self.from + f64::from(i)))
    }
}

/// The plot; rows that were not measured are named as such.
pub(crate) fn plot(results: &Results, scenarios: Names) -> String {
    let rows: Vec<(&str, Option<&Row>)> = scenarios
        .iter()
        .map(|(name, _)| (*name, results.rows.get(*name).filter(|row| row.failed.is_none())))
        .collect();
    let times: Vec<f64> = rows.iter().filter_map(|(_, row)| *row).flat_map(times).collect();
    let height = TOP + ROW * rows.len() as f64 + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Times of Tierce and of the best peer\">\n<style>{STYLE}</style>\n"
    );
    text(&mut svg, 0.0, 18.0, "title", "Tierce, the best peer, and the machine's limit");
    text(&mut svg, WIDTH - RIGHT + 10.0, 18.0, "small", "green: the model of the limit");
    if let Some(scale) = Scale::around(&times) {
        for mark in scale.marks() {
            let x = scale.x(mark);
            let bottom = height - 16.0;
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>"
            );
            text(&mut svg, x + 3.0, TOP - 8.0, "small", &seconds(mark));
        }
        for (i, (name, row)) in rows.iter().enumerate() {
            let y = TOP + ROW * i as f64;
            text(&mut svg, 0.0, y + 20.0, "", name);
            match row {
                Some(row) => bars(&mut svg, &scale, y, row),
                None => text(&mut svg, NAMES + 4.0, y + 20.0, "small", "not measured"),
            }
        }
    }
    svg + "</svg>\n"
}

fn times(row: &Row) -> Vec<f64> {
    let peer = row.best_peer().and_then(|(_, runs)| runs.wall());
    [row.ours().and_then(Runs::wall), peer, row.limit].into_iter().flatten().collect()
}

fn bars(svg: &mut String, scale: &Scale, y: f64, row: &Row) {
    let ratio = row.ratio().map(|r| format!(" ({r:.1}×)")).unwrap_or_default();
    if let Some(wall) = row.ours().and_then(Runs::wall) {
        bar(svg, scale, y + 4.0, wall, "ours", &format!("tierce {}{ratio}", seconds(wall)));
    }
    if let Some((name, wall)) = row.best_peer().and_then(|(n, r)| Some((n, r.wall()?))) {
        bar(svg, scale, y + 20.0, wall, "peer", &format!("{name} {}", seconds(wall)));
    }
    if let Some(limit) = row.limit {
        let (x, top, bottom) = (scale.x(limit), y + 2.0, y + 35.0);
        let _ = writeln!(
            svg,
            "<line class=\"limit\" x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>"
        );
    }
}

fn bar(svg: &mut String, scale: &Scale, y: f64, time: f64, class: &str, label: &str) {
    let end = scale.x(time);
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{NAMES}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>",
        (end - NAMES).max(1.0)
    );
    text(svg, end + 6.0, y + BAR - 2.0, "small", label);
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::row;

    /// Whether each element that opens also closes, in order.
    fn well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1).filter_map(|rest| rest.split_once('>')) {
            let (tag, _) = tag;
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap_or_default());
            }
        }
        open.is_empty() && svg.matches('"').count().is_multiple_of(2)
    }

    #[test]
    fn the_plot_is_well_formed_and_shows_what_was_measured() {
        let mut one = row(&[("tierce", &[0.02]), ("dock<er&", &[0.2])]);
        one.limit = Some(0.003);
        let results = Results { rows: [("one".to_owned(), one)].into(), ..Results::default() };
        let svg = plot(&results, &[("one", ""), ("two", "")]);
        assert!(well_formed(&svg), "{svg}");
        assert!(svg.contains("tierce 20.0 ms (10.0×)"));
        assert!(svg.contains("dock&lt;er&amp; 200 ms"));
        assert!(svg.contains("not measured"));
        assert!(well_formed(&plot(&Results::default(), &[("one", "")])));
    }

    #[test]
    fn each_power_of_ten_has_the_same_width() {
        let scale = Scale::around(&[0.003, 0.2]).into_iter().next();
        let xs: Vec<f64> = scale
            .iter()
            .flat_map(|s| s.marks().map(|mark| s.x(mark)).collect::<Vec<_>>())
            .collect();
        assert_eq!(xs.len(), 4);
        assert!(((xs[1] - xs[0]) - (xs[3] - xs[2])).abs() < 1e-6);
    }
}
