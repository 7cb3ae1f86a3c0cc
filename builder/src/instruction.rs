//! Logical lines into typed instructions.
//!
//! One file per instruction; [`Instruction`], the dispatch and the names offered by "did you
//! mean" come from the one list below. Values stay as written: the variables in a
//! [`Word`](crate::syntax::Word) are expanded when the stage that holds it is built.

mod add;
mod arg;
mod chmod;
mod cmd;
mod command;
mod copy;
mod duration;
mod entrypoint;
mod env;
mod expose;
mod flag;
mod from;
mod healthcheck;
mod label;
mod maintainer;
mod onbuild;
mod pair;
mod port;
mod run;
mod shell;
mod size;
mod statement;
mod stopsignal;
mod unset;
mod user;
mod volume;
mod workdir;

use crate::diagnostic::Diagnostic;
use crate::syntax::Line;

pub use add::Add;
pub use arg::{Arg, ArgDefinition};
pub use chmod::{Chmod, ChmodError, Clause, Copied, Operator, Permissions, Who};
pub use cmd::Cmd;
pub use command::CommandLine;
pub use copy::{Copy, CopySource};
pub use duration::{DurationError, parse_duration};
pub use entrypoint::Entrypoint;
pub use env::Env;
pub use expose::Expose;
pub use flag::Flag;
pub use from::{From, StageName};
pub use healthcheck::{Healthcheck, Probe};
pub use label::Label;
pub use maintainer::Maintainer;
pub use onbuild::{Onbuild, parse_onbuild_trigger};
pub use pair::Pair;
pub use port::{ExposedPorts, PortError, Protocol, parse_port};
pub use run::{
    Device, Field, Key, Mount, MountSpec, Network, Ownership, Run, Security, Sharing, csv_fields,
};
pub use shell::Shell;
pub use size::{SizeError, parse_size};
pub use statement::{Statement, parse_change};
pub use stopsignal::{SignalError, Stopsignal, parse_signal};
pub use unset::{Property, Unset};
pub use user::User;
pub use volume::Volume;
pub use workdir::Workdir;

pub(crate) use statement::{parse_statement, takes_heredocs};

/// What makes a type an instruction.
trait Directive: Sized {
    /// The keyword, in upper case.
    const KEYWORD: &'static str;
    /// Whether `<<EOF` in its arguments begins a here-document.
    const HEREDOCS: bool = false;

    /// Reads the instruction from a line that begins with its keyword.
    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic>;
}

macro_rules! instructions {
    ($($name:ident),* $(,)?) => {
        /// An instruction of a Dockerfile.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Instruction {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $name($name),
            )*
        }

        /// Every keyword, in upper case.
        pub const KEYWORDS: &[&str] = &[$($name::KEYWORD),*];

        /// The keywords whose arguments may begin here-documents.
        const HEREDOC_KEYWORDS: &[(&str, bool)] = &[$(($name::KEYWORD, $name::HEREDOCS)),*];

        impl Instruction {
            /// The keyword, in upper case.
            pub fn keyword(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $name::KEYWORD,)*
                }
            }

            /// Reads the instruction that `line`'s keyword names.
            fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
                $(
                    if line.keyword.text.eq_ignore_ascii_case($name::KEYWORD) {
                        return $name::parse(line).map(Self::$name);
                    }
                )*
                Err(unknown_instruction(line))
            }
        }
    };
}

instructions![
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    Unset,
    User,
    Volume,
    Workdir,
];

fn unknown_instruction(line: &Line<'_>) -> Diagnostic {
    let written = &line.keyword.text;
    Diagnostic::error(line.keyword.span, format!("unknown instruction `{written}`"))
        .did_you_mean(written, KEYWORDS.iter().copied())
}
