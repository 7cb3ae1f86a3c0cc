//! `--format`: Go's templates over what `--format json` shows, as scripts for docker write them.
//!
//! * `lex` takes the text apart, `parse` makes of it what is to be done, `render` does that.
//! * `function` has Go's functions and those that docker adds, `format` what `printf` does.
//! * `nothing` knows what docker prints of an empty field.
//!
//! What is not understood is refused by name instead of being printed wrongly.

mod format;
mod function;
mod lex;
mod nothing;
mod parse;
mod render;

use serde_json::Value;

use parse::Node;

pub(super) use function::LABEL;

/// A parsed `--format`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    /// Whether it began with `table`, which wants columns below headings.
    pub(crate) is_table: bool,
}

impl Template {
    /// Reads a template. `\t` and `\n` written as two characters are the characters they name.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let (text, is_table) = match text.strip_prefix("table ") {
            Some(rest) => (rest.trim_start(), true),
            None => (text, false),
        };
        let mut pieces = lex::pieces(text)?;
        for piece in &mut pieces {
            if let lex::Piece::Text(text) = piece {
                *text = text.replace("\\t", "\t").replace("\\n", "\n");
            }
        }
        Ok(Template { nodes: parse::nodes(pieces)?, is_table })
    }

    /// Fills the placeholders in. A field that is not there is an error that names those that are.
    pub(crate) fn render(&self, value: &Value) -> Result<String, String> {
        render::render(&self.nodes, value)
    }

    /// The fields that it shows, of the value itself.
    pub(crate) fn fields(&self) -> Vec<&str> {
        parse::fields(&self.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &str) -> Result<String, String> {
        let value = json!({
            "ID": "abc",
            "Config": { "Cmd": ["sh", "-c"], "Labels": {"a": "b"}, "Entrypoint": null },
            "N": 3,
            "manifest": { "mediaType": "m" },
            "Labels": "x=1,y=2,3,z=4",
            "Networks": { "two": { "IP": "10.0.0.2" }, "one": { "IP": "10.0.0.1" } },
            "State": { "Running": true, "Health": { "Status": "healthy" } },
            "Ports": { "80/tcp": [{ "HostPort": "8080" }], "81/tcp": null },
        });
        Template::parse(template)?.render(&value)
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (template, expected) in [
            ("{{.ID}}\\t{{ .N }}!", "abc\t3!"),
            ("{{.Config.Cmd}}", "[sh -c]"),
            (
                "{{.Config.Entrypoint}} {{.Config}}",
                "[] map[Cmd:[sh -c] Entrypoint:<nil> Labels:map[a:b]]",
            ),
            ("{{json .Config.Cmd}} {{json .Nope}}", r#"["sh","-c"] null"#),
            ("{{index .Config.Cmd 1}}", "-c"),
            ("{{.Manifest.MediaType}} {{.manifest.mediaType}}", "m m"),
            ("{{index .Config.Labels \"a\"}}{{index .Config.Labels \"none\"}}", "b"),
            ("{{join .Config.Cmd \", \"}}", "sh, -c"),
            ("{{.Config.Labels}}", "map[a:b]"),
            ("{{.Config.Labels.a}} {{.Config.Labels.none}}", "b <no value>"),
            ("{{.State.Health.Status}} {{.Config.Healthcheck}}", "healthy <nil>"),
            ("{{.Label \"y\"}} {{.Label \"z\"}}{{.Label \"w\"}}", "2,3 4"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_goes_through_lists_and_asks_is_done() {
        for (template, expected) in [
            ("{{range .Networks}}{{.IP}} {{end}}", "10.0.0.1 10.0.0.2 "),
            (
                "{{range $name, $net := .Networks}}{{$name}}={{$net.IP}},{{end}}",
                "one=10.0.0.1,two=10.0.0.2,",
            ),
            (
                "{{range $p, $c := .Ports}}{{$p}}->{{if $c}}{{(index $c 0).HostPort}}{{else}}no{{end}} {{end}}",
                "80/tcp->8080 81/tcp->no ",
            ),
            ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
            ("{{range .Config.Entrypoint}}x{{else}}none{{end}}", "none"),
            ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "healthy"),
            ("{{if .State.Nope}}a{{else if eq .ID \"abc\"}}b{{else}}c{{end}}", "b"),
            ("{{with .State.Health}}{{.Status}} {{$.ID}}{{end}}", "healthy abc"),
            ("{{if and .State.Running (ne .N 4) (not .Nope)}}yes{{end}}", "yes"),
            ("{{if or .Nope .Config.Entrypoint}}yes{{else}}no{{end}}", "no"),
            ("{{ .ID | upper | printf \"%-5s|%05d|%q|\" }}", "`%d` has no value"),
            ("{{printf \"%-5s|%05d|%q|%.2f%%\" .ID .N .ID .N}}", "abc  |00003|\"abc\"|3.00%"),
            ("{{printf \"%q %q\" .Config.Cmd .Config.Labels}}", "[\"sh\" \"-c\"] map[\"a\":\"b\"]"),
            (
                "{{.ID | upper}} {{title \"a bc\"}} {{truncate .ID 2}} {{pad .ID 1 1}}.",
                "ABC A Bc ab  abc .",
            ),
            ("{{$x := .ID}}{{range .Config.Cmd}}{{$x}}{{.}}{{end}}", "abcshabc-c"),
            ("a {{- /* no */ -}} b {{- .ID -}}  c", "ababcc"),
            ("{{len .Config.Cmd}} {{slice .ID 1}} {{println .ID}}", "2 bc abc\n"),
            ("{{range split \"a:b\" \":\"}}[{{.}}]{{end}}", "[a][b]"),
        ] {
            let said = render(template);
            assert_eq!(said.as_deref().unwrap_or_else(|error| error), expected, "{template}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for template in [
            "{{.Nope}}",
            "{{range .X}}",
            "{{.ID",
            "{{ID}}",
            "{{}}",
            "{{end}}",
            "{{else}}",
            "{{if .ID}}",
            "{{.ID (}}",
            "{{.ID)}}",
            "{{nope .ID}}",
            "{{$x}}",
            "{{template \"a\"}}",
            "{{index .Config.Cmd 7}}",
            "{{.ID | .N}}",
            "{{range .N}}{{end}}",
            "{{lt .ID 1}}",
            "{{\"a}}",
            "{{.State.Nope.Status}}",
            "{{if .ID}}{{else}}{{else}}{{end}}",
        ] {
            assert!(render(template).is_err(), "{template}");
        }
        assert!(render(&"{{if .ID}}".repeat(100)).is_err());
        assert!(render(&format!("{{{{{}.ID", "(".repeat(100))).is_err());
    }
}
