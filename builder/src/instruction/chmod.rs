//! The modes that `--chmod` takes: octal, or symbolic as chmod(1) reads them.

/// A change of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// The bits, at most 0o7777.
    Octal(u32),
    /// Clauses that apply in order to the bits that are there: `u=rwX,go=rX`.
    Symbolic(Vec<Clause>),
}

/// `u+rw`: who, how and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause {
    /// Whose bits.
    pub who: Who,
    /// What happens to them.
    pub operator: Operator,
    /// Which bits.
    pub permissions: Permissions,
}

/// The classes that a clause changes. None written means all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Who {
    /// `u`.
    pub user: bool,
    /// `g`.
    pub group: bool,
    /// `o`.
    pub other: bool,
}

/// What a clause does with its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`: sets them.
    Add,
    /// `-`: clears them.
    Remove,
    /// `=`: sets them and clears the others of the class.
    Set,
}

/// The bits of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// `r`.
    pub read: bool,
    /// `w`.
    pub write: bool,
    /// `x`.
    pub execute: bool,
    /// `X`: execute, for a directory or what somebody may execute already.
    pub execute_if_any: bool,
    /// `s`: setuid for the user, setgid for the group.
    pub set_id: bool,
    /// `t`.
    pub sticky: bool,
    /// `u`, `g` or `o`: the bits that this class has.
    pub copied: Option<Copied>,
}

/// The class whose bits a clause copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// The user's.
    User,
    /// The group's.
    Group,
    /// Everybody else's.
    Other,
}

/// A mode that is none.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no mode: write octal digits up to 7777, or clauses such as `u=rwX,go=rX`")]
pub struct ChmodError(pub String);

impl Chmod {
    /// Reads a mode.
    ///
    /// # Errors
    /// What is neither octal up to 7777 nor symbolic.
    pub fn parse(text: &str) -> Result<Self, ChmodError> {
        let error = || ChmodError(text.to_owned());
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return match u32::from_str_radix(text, 8) {
                Ok(mode) if mode <= 0o7777 => Ok(Self::Octal(mode)),
                _ => Err(error()),
            };
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            clauses.extend(parse_part(part).ok_or_else(error)?);
        }
        Ok(Self::Symbolic(clauses))
    }

    /// The permission bits (0o7777) that follow from those there are.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Octal(bits) => *bits,
            Self::Symbolic(clauses) => {
                clauses.iter().fold(mode & 0o7777, |mode, clause| clause.apply(mode, is_directory))
            }
        }
    }
}

/// `[ugoa]*([+-=]perms)+`
fn parse_part(part: &str) -> Option<Vec<Clause>> {
    let at = part.find(['+', '-', '='])?;
    let who = Who::parse(&part[..at])?;
    let mut clauses = Vec::new();
    let mut rest = &part[at..];
    while let Some(sign) = rest.chars().next() {
        let operator = match sign {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            _ => Operator::Set,
        };
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |found| found + 1);
        let permissions = Permissions::parse(&rest[1..end])?;
        clauses.push(Clause { who, operator, permissions });
        rest = &rest[end..];
    }
    Some(clauses)
}

impl Who {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { user: true, group: true, other: true });
        }
        let mut who = Self::default();
        for letter in text.chars() {
            match letter {
                'u' => who.user = true,
                'g' => who.group = true,
                'o' => who.other = true,
                'a' => who = Self { user: true, group: true, other: true },
                _ => return None,
            }
        }
        Some(who)
    }

    /// The read, write and execute bits of the classes.
    fn mask(self) -> u32 {
        u32::from(self.user) * 0o700 + u32::from(self.group) * 0o070 + u32::from(self.other) * 0o007
    }
}

impl Permissions {
    fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        for letter in text.chars() {
            match letter {
                'r' => found.read = true,
                'w' => found.write = true,
                'x' => found.execute = true,
                'X' => found.execute_if_any = true,
                's' => found.set_id = true,
                't' => found.sticky = true,
                'u' if text.len() == 1 => found.copied = Some(Copied::User),
                'g' if text.len() == 1 => found.copied = Some(Copied::Group),
                'o' if text.len() == 1 => found.copied = Some(Copied::Other),
                _ => return None,
            }
        }
        Some(found)
    }

    /// Read, write and execute as three bits.
    fn triple(self, mode: u32, is_directory: bool) -> u32 {
        let execute = self.execute || (self.execute_if_any && (is_directory || mode & 0o111 != 0));
        let copied = match self.copied {
            None => 0,
            Some(Copied::User) => mode >> 6 & 7,
            Some(Copied::Group) => mode >> 3 & 7,
            Some(Copied::Other) => mode & 7,
        };
        let named = u32::from(self.read) * 4 + u32::from(self.write) * 2 + u32::from(execute);
        named | copied
    }
}

impl Clause {
    fn apply(self, mode: u32, is_directory: bool) -> u32 {
        let Self { who, operator, permissions } = self;
        let mut bits = (permissions.triple(mode, is_directory) * 0o111) & who.mask();
        let mut class = who.mask();
        if who.user {
            bits |= u32::from(permissions.set_id) * 0o4000;
            class |= 0o4000;
        }
        if who.group {
            bits |= u32::from(permissions.set_id) * 0o2000;
            class |= 0o2000;
        }
        bits |= u32::from(permissions.sticky) * 0o1000;
        if who.user && who.group && who.other {
            class |= 0o1000;
        }
        match operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            // A directory keeps its set-id bits unless they are named, as with chmod(1).
            Operator::Set if is_directory => mode & !(class & !0o6000) | bits,
            Operator::Set => mode & !class | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chmod;

    #[test]
    fn modes_apply_as_chmod_does() {
        // mode, bits before, directory, bits after
        for (mode, before, directory, after) in [
            ("755", 0o600, false, 0o755),
            ("07777", 0o600, false, 0o7777),
            ("0", 0o600, false, 0),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("g=u", 0o640, false, 0o660),
            ("u+s,g+s", 0o755, false, 0o6755),
            ("u+rw-x", 0o500, false, 0o600),
            ("o=", 0o777, false, 0o770),
            ("+t", 0o777, true, 0o1777),
        ] {
            let parsed = Chmod::parse(mode).expect(mode);
            assert_eq!(parsed.apply(before, directory), after, "{mode} on {before:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for wrong in ["", "8", "10000", "rw", "u", "u=q", "u=rw,", "x+u", "0o755", "-1", "u=gx"] {
            assert!(Chmod::parse(wrong).is_err(), "{wrong}");
        }
    }
}
