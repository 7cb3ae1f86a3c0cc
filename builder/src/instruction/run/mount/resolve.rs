//! From the fields of a `--mount` to the mount.

use super::super::csv::parse_bool;
use super::{Field, Key, Mount, MountSpec, Ownership, Sharing};
use crate::diagnostic::Diagnostic;
use crate::instruction::parse_size;
use crate::syntax::{Span, Word};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

/// The fields' values, the last of each key.
#[derive(Default)]
struct Values {
    kind: Option<Type>,
    from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    id: Option<String>,
    sharing: Option<Sharing>,
    required: Option<bool>,
    size: Option<u64>,
    ownership: Ownership,
    env: Option<String>,
}

impl Mount {
    /// The mount that the fields make when `expand` has expanded their values.
    ///
    /// # Errors
    /// The first error of `expand`; a value that its key cannot have; keys that do not go with
    /// the type or with each other.
    pub fn resolve(
        &self,
        mut expand: impl FnMut(&Word) -> Result<String, Diagnostic>,
    ) -> Result<MountSpec, Diagnostic> {
        let mut values = Values::default();
        for field in &self.fields {
            let value = match &field.value {
                Some(word) => Some(expand(word)?),
                None => None,
            };
            values.set(field, value)?;
        }
        let kind = values.kind.unwrap_or(Type::Bind);
        self.refuse_foreign(kind)?;
        values.into_spec(kind, self.span)
    }

    /// Refuses keys that do not go with the type.
    fn refuse_foreign(&self, kind: Type) -> Result<(), Diagnostic> {
        let foreign = self.fields.iter().find(|field| !kind.takes(field.key));
        let Some(field) = foreign else { return Ok(()) };
        let message =
            format!("`{}` does not go with a mount of type {}", field.key.name(), kind.name());
        Err(Diagnostic::error(field.span, message))
    }
}

impl Values {
    fn set(&mut self, field: &Field, value: Option<String>) -> Result<(), Diagnostic> {
        let flag = |value: Option<String>| match value {
            None => Ok(true),
            Some(text) => parse_bool(&text)
                .ok_or_else(|| invalid(field, &format!("`{text}` is neither true nor false"))),
        };
        match field.key {
            Key::ReadOnly => self.read_only = Some(flag(value)?),
            Key::ReadWrite => self.read_only = Some(!flag(value)?),
            Key::Required => self.required = Some(flag(value)?),
            _ => self.set_text(field, value.unwrap_or_default())?,
        }
        Ok(())
    }

    fn set_text(&mut self, field: &Field, text: String) -> Result<(), Diagnostic> {
        match field.key {
            Key::Type => self.kind = Some(parse_type(field, &text)?),
            Key::From => self.from = Some(text),
            Key::Source => self.source = Some(text),
            Key::Target => self.target = Some(text),
            Key::Id => self.id = Some(text),
            Key::Env if text.is_empty() || text.contains('=') => {
                return Err(invalid(field, &format!("`{text}` is no name of a variable")));
            }
            Key::Env => self.env = Some(text),
            Key::Sharing => self.sharing = Some(parse_sharing(field, &text)?),
            Key::Size => {
                let size = parse_size(&text).map_err(|error| invalid(field, &error.to_string()))?;
                self.size = Some(size);
            }
            Key::Mode => self.ownership.mode = Some(parse_number(field, &text, 8)?),
            Key::Uid => self.ownership.uid = Some(parse_number(field, &text, 10)?),
            Key::Gid => self.ownership.gid = Some(parse_number(field, &text, 10)?),
            Key::ReadOnly | Key::ReadWrite | Key::Required => {}
        }
        Ok(())
    }

    fn into_spec(self, kind: Type, span: Span) -> Result<MountSpec, Diagnostic> {
        match kind {
            Type::Bind => Ok(MountSpec::Bind {
                from: given(self.from),
                source: self.source.unwrap_or_default(),
                target: self.target.unwrap_or_default(),
                read_only: self.read_only.unwrap_or(true),
            }),
            Type::Cache => Ok(MountSpec::Cache {
                id: given(self.id),
                from: given(self.from),
                source: self.source.unwrap_or_default(),
                target: self.target.unwrap_or_default(),
                sharing: self.sharing.unwrap_or_default(),
                read_only: self.read_only.unwrap_or(false),
                ownership: self.ownership,
            }),
            Type::Tmpfs => Ok(MountSpec::Tmpfs {
                target: self.target.unwrap_or_default(),
                size: self.size.unwrap_or(0),
                read_only: self.read_only.unwrap_or(false),
            }),
            Type::Secret => self.into_secret(span),
            Type::Ssh => Ok(MountSpec::Ssh {
                id: given(self.id).unwrap_or_else(|| "default".to_owned()),
                target: given(self.target),
                required: self.required.unwrap_or(false),
                ownership: self.ownership,
            }),
        }
    }

    fn into_secret(self, span: Span) -> Result<MountSpec, Diagnostic> {
        let (id, source, target) = (given(self.id), given(self.source), given(self.target));
        if id.is_some() && source.is_some() {
            let message = "`id` and `source` of a secret are the same thing";
            return Err(Diagnostic::error(span, message).help("give one of them"));
        }
        let Some(id) = id.or(source).or_else(|| target.as_deref().map(|t| base_name(t).to_owned()))
        else {
            let message = "a secret mount needs `id`, `source` or `target`";
            return Err(Diagnostic::error(span, message));
        };
        let target = match (target, &self.env) {
            (None, None) => Some(format!("/run/secrets/{}", base_name(&id))),
            (target, _) => target,
        };
        let required = self.required.unwrap_or(false);
        Ok(MountSpec::Secret { id, target, env: self.env, required, ownership: self.ownership })
    }
}

impl Type {
    const NAMES: [(&'static str, Self); 5] = [
        ("bind", Self::Bind),
        ("cache", Self::Cache),
        ("tmpfs", Self::Tmpfs),
        ("secret", Self::Secret),
        ("ssh", Self::Ssh),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }

    /// Whether a mount of this type may have the key. Others mean nothing for some types and are
    /// taken, as docker takes them.
    fn takes(self, key: Key) -> bool {
        match key {
            Key::Required => matches!(self, Self::Secret | Self::Ssh),
            Key::Size => self == Self::Tmpfs,
            Key::Sharing => self == Self::Cache,
            Key::Mode | Key::Uid | Key::Gid => {
                matches!(self, Self::Cache | Self::Secret | Self::Ssh)
            }
            Key::From => self != Self::Secret,
            Key::Source => self != Self::Ssh,
            _ => true,
        }
    }
}

/// An empty value is none.
fn given(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}

/// The last element of a path, as Go's `path.Base` has it.
fn base_name(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        _ if path.is_empty() => ".",
        _ if trimmed.is_empty() => "/",
        Some((_, last)) => last,
        None => trimmed,
    }
}

fn parse_type(field: &Field, text: &str) -> Result<Type, Diagnostic> {
    let known = Type::NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        invalid(field, &format!("`{text}` is no type of mount"))
            .did_you_mean(text, Type::NAMES.iter().map(|(name, _)| *name))
            .note("the types are bind, cache, tmpfs, secret and ssh")
    })
}

fn parse_sharing(field: &Field, text: &str) -> Result<Sharing, Diagnostic> {
    match text.to_ascii_lowercase().as_str() {
        "shared" => Ok(Sharing::Shared),
        "private" => Ok(Sharing::Private),
        "locked" => Ok(Sharing::Locked),
        _ => Err(invalid(field, &format!("`{text}` is no way of sharing a cache"))
            .did_you_mean(text, ["shared", "private", "locked"])
            .note("the ways are shared, private and locked")),
    }
}

fn parse_number(field: &Field, text: &str, radix: u32) -> Result<u32, Diagnostic> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    u32::from_str_radix(text, radix).ok().filter(|_| digits).ok_or_else(|| {
        let kind = if radix == 8 { "an octal number" } else { "a number" };
        invalid(field, &format!("`{}` takes {kind}, not `{text}`", field.key.name()))
    })
}

fn invalid(field: &Field, message: &str) -> Diagnostic {
    let span = field.value.as_ref().map_or(field.span, |value| value.span);
    Diagnostic::error(span, message)
}
