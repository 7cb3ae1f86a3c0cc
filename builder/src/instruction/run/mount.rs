//! `RUN --mount`: the fields as written, and the mount that they make once expanded.

mod resolve;

use super::csv::{fields, part};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Span, Word};

/// The fields of one `--mount`. Their values expand; what they mean is known only then: see
/// [`Mount::resolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The fields in order.
    pub fields: Vec<Field>,
    /// All of them.
    pub span: Span,
}

/// `key=value` or `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What it sets.
    pub key: Key,
    /// The value, if there is a `=`.
    pub value: Option<Word>,
    /// All of it.
    pub span: Span,
}

macro_rules! keys {
    ($($key:ident: $name:literal $(| $alias:literal)*, $doc:literal;)*) => {
        /// The key of a mount's field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Key {
            $(#[doc = $doc] $key,)*
        }

        impl Key {
            /// Every spelling of every key.
            const SPELLINGS: &[&str] = &[$($name, $($alias,)*)*];

            fn parse(text: &str) -> Option<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($name $(| $alias)* => Some(Self::$key),)*
                    _ => None,
                }
            }

            /// The key's name without abbreviation.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$key => $name,)*
                }
            }
        }
    };
}

keys! {
    Type: "type", "`type`: bind, cache, tmpfs, secret or ssh.";
    From: "from", "`from`: a stage or an image.";
    Source: "source" | "src", "`source`, `src`.";
    Target: "target" | "dst" | "destination", "`target`, `dst`, `destination`.";
    ReadOnly: "readonly" | "ro", "`readonly`, `ro`.";
    ReadWrite: "readwrite" | "rw", "`readwrite`, `rw`.";
    Id: "id", "`id` of a cache, a secret or an agent.";
    Sharing: "sharing", "`sharing` of a cache.";
    Required: "required", "`required` of a secret or an agent.";
    Size: "size", "`size` of a tmpfs.";
    Mode: "mode", "`mode`, octal.";
    Uid: "uid", "`uid`.";
    Gid: "gid", "`gid`.";
    Env: "env", "`env`: the variable that holds a secret.";
}

/// A mount, all values known. Paths are as written: a target is relative to the working
/// directory, which an empty one is, and a source to the root of `from` or of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSpec {
    /// A tree of the context, a stage or an image.
    Bind {
        /// A stage or an image; none is the context.
        from: Option<String>,
        /// The path in it; empty is its root.
        source: String,
        /// Where it appears.
        target: String,
        /// Whether writing fails; what is written is lost in any case.
        read_only: bool,
    },
    /// A directory that outlives the build.
    Cache {
        /// What it is known by; none is the cleaned target.
        id: Option<String>,
        /// A stage or an image that a new cache starts with; none is empty.
        from: Option<String>,
        /// The path in `from`; empty is its root.
        source: String,
        /// Where it appears.
        target: String,
        /// Who may use it at a time.
        sharing: Sharing,
        /// Whether writing fails.
        read_only: bool,
        /// Mode and owner of a new cache.
        ownership: Ownership,
    },
    /// A file system in memory.
    Tmpfs {
        /// Where it appears.
        target: String,
        /// Its largest size in bytes; 0 is no limit.
        size: u64,
        /// Whether writing fails.
        read_only: bool,
    },
    /// A secret of the build, as a file, a variable or both.
    Secret {
        /// What the build knows it by.
        id: String,
        /// The file that holds it; none when only a variable does.
        target: Option<String>,
        /// The variable that holds it.
        env: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// Mode (0400 unless given) and owner of the file.
        ownership: Ownership,
    },
    /// The socket of an ssh agent.
    Ssh {
        /// What the build knows it by.
        id: String,
        /// The socket; none is `/run/buildkit/ssh_agent.N`.
        target: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// Mode (0600 unless given) and owner of the socket.
        ownership: Ownership,
    },
}

/// Mode and owner as far as they are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ownership {
    /// The permission bits.
    pub mode: Option<u32>,
    /// The user's id.
    pub uid: Option<u32>,
    /// The group's id.
    pub gid: Option<u32>,
}

/// Who may use a cache at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Everybody, at once.
    #[default]
    Shared,
    /// Each writer gets one of its own.
    Private,
    /// One after the other.
    Locked,
}

impl Mount {
    /// Reads the fields. What can be known without expansion is checked right away.
    pub(super) fn parse(word: &Word) -> Result<Self, Diagnostic> {
        // Labels of SELinux, as podman's users write them: without meaning here, as with `-v`.
        let has_meaning = |field: &&Word| !matches!(field.text.as_str(), "z" | "Z");
        let fields = fields(word)?;
        let fields = fields.iter().filter(has_meaning).map(Field::parse);
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let mount = Self { fields, span: word.span };
        if mount.is_constant() {
            mount.resolve(|word| Ok(word.text.clone()))?;
        }
        Ok(mount)
    }

    /// The stage or image of `from=`, as it is written.
    pub fn from(&self) -> Option<&Word> {
        self.fields.iter().rev().find(|field| field.key == Key::From)?.value.as_ref()
    }

    /// Whether expansion cannot change a value.
    fn is_constant(&self) -> bool {
        let values = self.fields.iter().filter_map(|field| field.value.as_ref());
        values.into_iter().all(|value| !value.text.contains(['$', '\\', '`', '"', '\'']))
    }
}

impl Field {
    fn parse(field: &Word) -> Result<Self, Diagnostic> {
        let (key, value) = match field.text.split_once('=') {
            Some((key, value)) => {
                let span = part(field, key.len() + 1, field.text.len());
                (key, Some(Word::new(value, span)))
            }
            None => (field.text.as_str(), None),
        };
        let Some(known) = Key::parse(key) else {
            let message = format!("unknown key `{key}` of a mount");
            return Err(Diagnostic::error(field.span, message)
                .did_you_mean(key, Key::SPELLINGS.iter().copied()));
        };
        let may_be_bare = matches!(known, Key::ReadOnly | Key::ReadWrite | Key::Required);
        if value.is_none() && !may_be_bare {
            let message = format!("`{key}` of a mount needs a value: `{key}=…`");
            return Err(Diagnostic::error(field.span, message));
        }
        Ok(Self { key: known, value, span: field.span })
    }
}
