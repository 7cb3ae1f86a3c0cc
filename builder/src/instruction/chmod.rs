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

/// The classes that a clause names. None means everybody, all but for `t`: see [`Chmod::apply`].
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
    ///
    /// The rules are those of BSD's chmod, as they are docker's: a directory's set-id bits are
    /// nothing special, `=` leaves the sticky bit, `o` has none, `=t` without a class changes
    /// nothing else, and copying (`g=u`) copies read, write and execute only.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let executable = is_directory || mode & 0o111 != 0;
        match self {
            Self::Octal(bits) => *bits,
            Self::Symbolic(clauses) => {
                clauses.iter().fold(mode & 0o7777, |mode, clause| clause.apply(mode, executable))
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
        let all = Permissions::parse(&rest[1..end], operator)?;
        clauses.extend(all.into_iter().map(|permissions| Clause { who, operator, permissions }));
        rest = &rest[end..];
    }
    Some(clauses)
}

impl Who {
    fn parse(text: &str) -> Option<Self> {
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

    fn is_unnamed(self) -> bool {
        self == Self::default()
    }

    /// The bits of the classes, set-id bits included.
    fn bits(self) -> u32 {
        match self.is_unnamed() {
            true => 0o6777,
            false => {
                u32::from(self.user) * 0o4700
                    + u32::from(self.group) * 0o2070
                    + u32::from(self.other) * 0o007
            }
        }
    }
}

impl Permissions {
    /// The steps that letters stand for, in order: each `u`, `g` and `o` is one of its own. `=`
    /// alone is a step, which clears.
    fn parse(text: &str, operator: Operator) -> Option<Vec<Self>> {
        let mut steps = Vec::new();
        let mut named = Self::default();
        for letter in text.chars() {
            let named_bit = match letter {
                'r' => &mut named.read,
                'w' => &mut named.write,
                'x' => &mut named.execute,
                'X' => &mut named.execute_if_any,
                's' => &mut named.set_id,
                't' => &mut named.sticky,
                _ => {
                    let copied = Copied::parse(letter)?;
                    if named != Self::default() {
                        steps.push(std::mem::take(&mut named));
                    }
                    steps.push(Self { copied: Some(copied), ..Self::default() });
                    continue;
                }
            };
            *named_bit = true;
        }
        if named != Self::default() || (steps.is_empty() && operator == Operator::Set) {
            steps.push(named);
        }
        Some(steps)
    }

    /// Read, write and execute as they are named, for every class.
    fn named(self) -> u32 {
        let one = u32::from(self.read) * 4 + u32::from(self.write) * 2 + u32::from(self.execute);
        one * 0o111 + u32::from(self.set_id) * 0o6000
    }
}

impl Copied {
    fn parse(letter: char) -> Option<Self> {
        match letter {
            'u' => Some(Self::User),
            'g' => Some(Self::Group),
            'o' => Some(Self::Other),
            _ => None,
        }
    }

    /// The read, write and execute bits that the class has in `mode`, for every class.
    fn bits(self, mode: u32) -> u32 {
        let one = match self {
            Self::User => mode >> 6,
            Self::Group => mode >> 3,
            Self::Other => mode,
        };
        (one & 7) * 0o111
    }
}

impl Clause {
    /// `executable` says whether `X` means `x`.
    fn apply(self, mode: u32, executable: bool) -> u32 {
        let Self { who, operator, permissions } = self;
        if let Some(copied) = permissions.copied {
            return operator.apply(mode, who.bits() & 0o777, copied.bits(mode));
        }
        let only_other = who.other && !who.user && !who.group;
        let (mut class, mut bits) = (who.bits(), permissions.named());
        if permissions.sticky && !only_other {
            class = 0o1000 | if who.is_unnamed() { 0 } else { class };
            bits |= 0o1000;
        }
        if permissions.execute_if_any && executable {
            bits |= 0o111;
        }
        operator.apply(mode, class, bits)
    }
}

impl Operator {
    /// What becomes of the bits of `class`.
    fn apply(self, mode: u32, class: u32, bits: u32) -> u32 {
        match self {
            Self::Add => mode | (bits & class),
            Self::Remove => mode & !(bits & class),
            Self::Set => (mode & !class) | (bits & class),
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
            ("o+t", 0o777, true, 0o777),
            ("=t", 0o2640, false, 0o3640),
            ("a=t", 0o2640, false, 0o1000),
            ("a=rx", 0o1755, false, 0o1555),
            ("=", 0o2750, true, 0),
            ("g=u", 0o2750, false, 0o2770),
            ("u=g", 0o4750, false, 0o4550),
            ("u=gx", 0o640, false, 0o140),
            ("u=gr+x", 0o640, false, 0o540),
            ("+st", 0o640, false, 0o1640),
            ("a+st", 0o640, false, 0o7640),
            ("a=,u=X", 0o755, false, 0o100),
            ("-X", 0o700, false, 0o600),
        ] {
            let parsed = Chmod::parse(mode).expect(mode);
            assert_eq!(parsed.apply(before, directory), after, "{mode} on {before:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for wrong in ["", "8", "10000", "rw", "u", "u=q", "u=rw,", "x+u", "0o755", "-1", "u=gq"] {
            assert!(Chmod::parse(wrong).is_err(), "{wrong}");
        }
    }
}
