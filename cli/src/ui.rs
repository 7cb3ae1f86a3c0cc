//! What people see: tables, placeholders, sizes and ages, progress.

pub(crate) mod ask;
pub(crate) mod build_failure;
pub(crate) mod build_json;
pub(crate) mod build_plain;
pub(crate) mod build_tty;
pub(crate) mod each;
pub(crate) mod filter;
pub(crate) mod findings;
pub(crate) mod human;
pub(crate) mod list;
pub(crate) mod quantity;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod transfer;

use std::io::Write;

use crate::error::Failure;

/// How long a word of a message may be, in characters: no name or path that means something is
/// longer.
const LONGEST_WORD: usize = 600;

/// How much of a longer one is shown.
const SHOWN_OF_WORD: usize = 100;

/// A message with what is much too long in it cut: nobody reads a name of ten thousand letters.
pub(crate) fn shortened(message: &str) -> std::borrow::Cow<'_, str> {
    let is_long = |word: &str| word.len() > LONGEST_WORD && word.chars().count() > LONGEST_WORD;
    if !message.split_whitespace().any(is_long) {
        return message.into();
    }
    let mut short = String::new();
    for piece in message.split_inclusive(char::is_whitespace) {
        match is_long(piece) {
            true => {
                short.extend(piece.chars().take(SHOWN_OF_WORD));
                short.push('…');
                short.extend(piece.chars().next_back().filter(|last| last.is_whitespace()));
            }
            false => short.push_str(piece),
        }
    }
    short.into()
}

/// What stands before an error on standard error.
pub(crate) const ERROR: &str = "\u{1b}[1;31merror:\u{1b}[0m ";

/// Prints a line on standard output; returns from the function where nobody reads it any more.
macro_rules! say {
    ($($argument:tt)*) => { $crate::ui::say_line(format_args!($($argument)*))? };
}

pub(crate) use say;

/// What [`say!`] does.
pub(crate) fn say_line(line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    say_bytes(format!("{line}\n").as_bytes())
}

/// Prints a value as a `--format` wants it: `json`, or placeholders.
pub(crate) fn say_value(format: &str, value: &serde_json::Value) -> Result<(), Failure> {
    if format == "json" {
        return say_line(format_args!("{value}"));
    }
    let template = template::Template::parse(format);
    let text = template.and_then(|template| template.render(value)).map_err(Failure::new)?;
    say_line(format_args!("{text}"))
}

/// Writes to standard output.
pub(crate) fn say_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        // As if SIGPIPE had ended us, which Rust programs ignore: `tierce images | head -1`.
        std::io::ErrorKind::BrokenPipe => Failure::silent(141),
        _ => Failure::new(format!("cannot write to standard output: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_much_too_long_is_cut() {
        let long = "é".repeat(10_000);
        let short = shortened(&format!("no image `{long} here:\n{long}\n")).into_owned();
        assert!(short.starts_with("no image `éé") && short.ends_with("é…\n"), "{short}");
        assert!(short.contains("… here:\n") && short.chars().count() < 300, "{short}");
        assert_eq!(shortened("as  it\tis\n"), "as  it\tis\n");
    }
}
