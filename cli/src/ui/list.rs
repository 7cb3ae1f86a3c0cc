//! Lists: as a table, as JSON lines, through placeholders, or ids alone.

use serde_json::Value;

use super::table::Table;
use super::template::{LABEL, Template};
use crate::error::{Failure, Outcome};

// The options that every list takes.
#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// `table`, `json` (one object a line), or placeholders: '{{.ID}} {{.Size}}'
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Print ids alone
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print ids and commands in full
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

enum Form {
    Table,
    Json,
    Ids,
    Template(Template),
}

/// Rows of a list; each is a JSON object, and what a table shows is a choice of its fields.
pub(crate) struct List<'a> {
    columns: &'a [&'a str],
    form: Form,
    rows: Vec<Value>,
}

impl<'a> List<'a> {
    /// A list whose table has the given fields as columns.
    pub(crate) fn new(columns: &'a [&'a str], args: &ListArgs) -> Result<List<'a>, Failure> {
        let form = match args.format.as_str() {
            _ if args.quiet => Form::Ids,
            "table" => Form::Table,
            "json" => Form::Json,
            text => Form::Template(Template::parse(text).map_err(Failure::new)?),
        };
        Ok(List { columns, form, rows: Vec::new() })
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, row: Value) {
        self.rows.push(row);
    }

    /// Prints the list; `id` is the field that `--quiet` prints, of several rows with the same once.
    pub(crate) fn print(mut self, id: &str) -> Outcome {
        if matches!(self.form, Form::Ids) {
            let mut seen = std::collections::HashSet::new();
            self.rows.retain(|row| seen.insert(cell(&row[id])));
        }
        self.print_each(id)
    }

    /// The same, with a line of every row.
    pub(crate) fn print_each(self, id: &str) -> Outcome {
        let mut text = String::new();
        match &self.form {
            Form::Table => {
                let headings: Vec<String> = self.columns.iter().map(|c| heading(c)).collect();
                let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
                let mut table = Table::new(&headings);
                for row in &self.rows {
                    table.row(self.columns.iter().map(|c| cell(&row[field(c)])).collect());
                }
                text = table.render();
            }
            Form::Json => {
                self.rows.iter().for_each(|row| text += &format!("{row}\n"));
            }
            Form::Ids => {
                let ids = self.rows.iter().map(|row| cell(&row[id]));
                ids.for_each(|id| text += &format!("{id}\n"));
            }
            Form::Template(template) => {
                let heading = template.is_table.then(|| self.heading_row(template));
                let mut lines = Vec::new();
                for row in heading.iter().chain(&self.rows) {
                    lines.push(template.render(row).map_err(Failure::new)?);
                }
                match template.is_table {
                    true => text = lined_up(&lines),
                    false => lines.iter().for_each(|line| text += &format!("{line}\n")),
                }
            }
        }
        super::say_bytes(text.as_bytes())?;
        Ok(0)
    }

    /// What a template that is a table has above its rows: each field it shows, by its heading.
    fn heading_row(&self, template: &Template) -> Value {
        let heading_of = |field_name: &str| {
            let column = self.columns.iter().find(|column| field(column) == field_name);
            match (column, field_name) {
                (Some(column), _) => heading(column),
                (None, "ID") if self.columns.contains(&"ContainerID") => heading("ContainerID"),
                (None, "RunningFor") => heading("CreatedSince"),
                (None, _) => words(field_name).to_uppercase(),
            }
        };
        let fields = template.fields().into_iter();
        let fields = fields.chain([LABEL]);
        fields.map(|field| (field.to_owned(), Value::String(heading_of(field)))).collect()
    }
}

/// Lines whose cells are apart by tabs, as a table.
fn lined_up(lines: &[String]) -> String {
    let cells = |line: &String| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = lines.iter().map(cells).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut rows = rows.into_iter().map(|mut row| {
        row.resize(columns, String::new());
        row
    });
    let first = rows.next().unwrap_or_default();
    let mut table = Table::new(&first.iter().map(String::as_str).collect::<Vec<_>>());
    rows.for_each(|row| table.row(row));
    table.render()
}

/// `CreatedAt` as its words.
fn words(field: &str) -> String {
    let mut text = String::new();
    let mut was_lower = false;
    for character in field.chars() {
        if character.is_uppercase() && was_lower {
            text.push(' ');
        }
        was_lower = character.is_lowercase();
        text.push(character);
    }
    text
}

/// The field of a column, which may be followed by a heading of its own: `Name|VOLUME NAME`.
fn field(column: &str) -> &str {
    column.split_once('|').map_or(column, |(field, _)| field)
}

/// `CreatedSince` is `CREATED`, `ID` of an image is `IMAGE ID`: docker's headings.
fn heading(column: &str) -> String {
    match column {
        "ID" => "IMAGE ID".into(),
        "ContainerID" => "CONTAINER ID".into(),
        "CreatedSince" => "CREATED".into(),
        "CreatedBy" => "CREATED BY".into(),
        "CreatedAt" => "CREATED AT".into(),
        other => match other.split_once('|') {
            Some((_, heading)) => heading.to_owned(),
            None => other.to_uppercase(),
        },
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
