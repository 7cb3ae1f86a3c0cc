//! `EXPOSE`.

use super::Directive;
use super::flag::Flags;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word, blank_separated};

/// `EXPOSE port[/protocol]…`: the ports that a container listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// The ports, at least one. Each expands into any number of words, each of which
    /// [`parse_port`](super::parse_port) reads.
    pub ports: Vec<Word>,
}

impl Directive for Expose {
    const KEYWORD: &'static str = "EXPOSE";

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        Flags::none(line)?;
        let mut ports = blank_separated(line.rest);
        if ports.is_empty() {
            let message = "EXPOSE needs at least one argument";
            return Err(Diagnostic::error(line.keyword.span, message));
        }
        for port in ports.iter().filter(|port| is_constant(&port.text)) {
            super::parse_port(&port.text)
                .map_err(|error| Diagnostic::error(port.span, error.to_string()))?;
        }
        // The order of the history entry, which is sorted before anything expands.
        ports.sort_by(|a, b| a.text.cmp(&b.text));
        Ok(Self { ports })
    }
}

/// Whether expansion cannot change the word.
fn is_constant(word: &str) -> bool {
    !word.contains(['$', '\\', '`', '"', '\''])
}
