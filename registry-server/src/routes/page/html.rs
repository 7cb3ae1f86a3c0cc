//! HTML by hand: few elements, and no text that is not escaped.

use std::fmt::Write as _;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;\
padding:0 1rem;color:#222}table{border-collapse:collapse;width:100%}td,th{text-align:left;\
padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}code{font-size:85%;\
word-break:break-all}a{color:#05c}h1{font-size:1.4rem;\
word-break:break-all}td:first-child{white-space:nowrap}";

/// A page with a title, which stands above it, too.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1>{body}</html>"
    )
}

/// A text as it stands in HTML, also in an attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A text of machines.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// A link to a place of this server.
pub(super) fn link(place: &str, text: &str) -> String {
    format!("<a href=\"{}\">{text}</a>", escape(place))
}

/// A table, whose cells are HTML already.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "<p>none</p>".to_owned();
    }
    let mut out = String::from("<table><tr>");
    for head in heads {
        let _ = write!(out, "<th>{head}</th>");
    }
    out.push_str("</tr>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>");
    }
    out + "</table>"
}

/// A number of bytes for people.
pub(super) fn bytes(count: u64) -> String {
    let mut rest = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if rest < 1000.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{rest:.1} {unit}") };
        }
        rest /= 1000.0;
    }
    format!("{rest:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_wrote_becomes_html() {
        let evil = "<script>alert(\"x\")</script>&";
        for html in [page(evil, ""), code(evil), link(evil, "")] {
            assert!(!html.contains("<script"), "{html}");
        }
        assert_eq!(link("\"onclick=\"x", "t"), "<a href=\"&quot;onclick=&quot;x\">t</a>");
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 999, 1000, 1_234_567, 2_000_000_000, 3_000_000_000_000];
        let texts = ["0 B", "999 B", "1.0 kB", "1.2 MB", "2.0 GB", "3.0 TB"];
        assert_eq!(sizes.map(bytes), texts);
    }
}
