//! Questions before something is lost.

use std::io::{self, BufRead, Write};

/// Says what will happen, and whether that is wanted: nothing but `y` means so.
pub(crate) fn confirmed(what: &str) -> io::Result<bool> {
    let mut output = anstream::stdout();
    write!(output, "WARNING! {what}\nAre you sure you want to continue? [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
