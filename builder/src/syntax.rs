//! Text into logical lines whose every byte knows where it stood in the file.
//!
//! Nothing here knows an instruction. [`LogicalLines`] joins continued lines, drops the comments
//! between them, reads the parser directives at the top and collects the here-documents below;
//! [`LogicalLine::split`] then parts a line into keyword, flags and arguments.

mod directive;
mod frontend;
mod heredoc;
mod json;
mod line;
mod source;
mod split;
mod text;
mod words;

pub use directive::{Check, Directives, Escape, Skip};
pub use frontend::foreign_frontend;
pub use heredoc::Heredoc;
pub use json::{JsonArray, json_strings};
pub use line::{Comment, LogicalLine, LogicalLines};
pub use source::{PlacedLine, Position, Source, SourceError, Span};
pub use split::{Line, RawFlag};
pub use text::{Text, Word};
pub use words::{blank_separated, is_blank, quoted_words};
