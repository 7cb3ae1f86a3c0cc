//! Users and groups, looked up in the image's own `/etc/passwd` and `/etc/group`.
//!
//! Pure functions over the files' bytes: never NSS, never the machine's users.

use std::path::PathBuf;

/// As whom a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id, as the container sees it.
    pub uid: u32,
    /// Group id, as the container sees it.
    pub gid: u32,
    /// Supplementary groups beside `gid`, which the process has in any case.
    pub additional_gids: Vec<u32>,
    /// Home directory, for the variable `HOME`; `/` for a user without an entry.
    pub home: PathBuf,
}

impl User {
    /// User 0, group 0, in `/root`.
    pub fn root() -> Self {
        Self { uid: 0, gid: 0, additional_gids: Vec::new(), home: "/root".into() }
    }
}

/// The owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The content of the image's two files; empty where an image has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accounts<'a> {
    /// `/etc/passwd`, passwd(5).
    pub passwd: &'a [u8],
    /// `/etc/group`, group(5).
    pub group: &'a [u8],
}

/// What a user that is only a number gets as group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numeric {
    /// Group 0 and no others, whatever the files say: `USER` in a build.
    GroupZero,
    /// What the user's entry says, if there is one: `docker run --user`.
    LookUp,
}

/// Why a user or an owner cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// No such name in `/etc/passwd`.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    UnknownUser(String),
    /// No such name in `/etc/group`.
    #[error("unable to find group {0}: no matching entries in group file")]
    UnknownGroup(String),
    /// An id that is negative or above 2147483647.
    #[error("user or group id {0} is out of range")]
    OutOfRange(String),
    /// Not of the form `user` or `user:group`.
    #[error("invalid user {0:?}: expected USER or USER:GROUP")]
    Malformed(String),
}

/// An entry of passwd(5).
struct PasswdEntry<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

/// An entry of group(5).
struct GroupEntry<'a> {
    name: &'a [u8],
    gid: u32,
    members: &'a [u8],
}

impl<'a> Accounts<'a> {
    fn users(self) -> impl Iterator<Item = PasswdEntry<'a>> {
        lines(self.passwd).filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next()?;
            let uid = number(fields.nth(1)?)?;
            let gid = number(fields.next()?)?;
            Some(PasswdEntry { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
        })
    }

    fn groups(self) -> impl Iterator<Item = GroupEntry<'a>> {
        lines(self.group).filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next()?;
            let gid = number(fields.nth(1)?)?;
            Some(GroupEntry { name, gid, members: fields.next().unwrap_or_default() })
        })
    }

    /// The name of a user id.
    pub(crate) fn name_of(self, uid: u32) -> Option<String> {
        let entry = self.users().find(|entry| entry.uid == uid)?;
        String::from_utf8(entry.name.to_vec()).ok()
    }

    /// The first entry with this name, or with this number.
    fn user(self, wanted: &str, id: Option<u32>) -> Option<PasswdEntry<'a>> {
        self.users().find(|entry| Some(entry.uid) == id || entry.name == wanted.as_bytes())
    }

    fn group(self, wanted: &str) -> Result<u32, UserError> {
        let id = id(wanted)?;
        self.groups()
            .find(|entry| Some(entry.gid) == id || entry.name == wanted.as_bytes())
            .map(|entry| entry.gid)
            .or(id)
            .ok_or_else(|| UserError::UnknownGroup(wanted.to_owned()))
    }

    /// The groups that name the user as a member.
    fn memberships(self, name: &[u8]) -> Vec<u32> {
        self.groups()
            .filter(|entry| entry.members.split(|byte| *byte == b',').any(|one| one == name))
            .map(|entry| entry.gid)
            .collect()
    }
}

/// Resolves what `USER` or `--user` says: `name`, `name:group`, `uid`, `uid:gid`, any mixture,
/// or nothing at all, which is user 0.
///
/// A name gets the group of its entry; supplementary groups are those that list it as a member,
/// and only when no group was given.
///
/// # Errors
/// When a name has no entry, an id is out of range, or the text has another form.
pub fn resolve(spec: &str, accounts: Accounts<'_>, numeric: Numeric) -> Result<User, UserError> {
    let (user, group) = split(spec)?;
    let user_id = if user.is_empty() { Some(0) } else { id(user)? };
    let entry = accounts.user(user, user_id);
    let home = entry.as_ref().map(|entry| entry.home).unwrap_or_default();
    let home = if home.is_empty() { b"/" } else { home };
    let home = PathBuf::from(String::from_utf8_lossy(home).into_owned());

    let numbers = group.map_or(Ok(Some(0)), id)?;
    if let (Numeric::GroupZero, Some(uid), Some(gid)) = (numeric, user_id, numbers) {
        return Ok(User { uid, gid, additional_gids: Vec::new(), home });
    }
    let (uid, own_gid) = match (&entry, user_id) {
        (Some(entry), _) => (entry.uid, entry.gid),
        (None, Some(uid)) => (uid, 0),
        (None, None) => return Err(UserError::UnknownUser(user.to_owned())),
    };
    let (gid, additional_gids) = match (group, &entry) {
        (Some(group), _) => (accounts.group(group)?, Vec::new()),
        (None, Some(entry)) => (own_gid, accounts.memberships(entry.name)),
        (None, None) => (own_gid, Vec::new()),
    };
    Ok(User { uid, gid, additional_gids, home })
}

/// Resolves what `--chown` says. A number alone is user and group both; a name alone gets the
/// group of its entry.
///
/// # Errors
/// When a name has no entry (which one, so that the caller may go on with 0 as BuildKit does),
/// an id is out of range, or the text has another form.
pub fn resolve_owner(spec: &str, accounts: Accounts<'_>) -> Result<Owner, UserError> {
    let (user, group) = split(spec)?;
    if user.is_empty() {
        return Err(UserError::Malformed(spec.to_owned()));
    }
    let (uid, own_gid) = match id(user)? {
        Some(id) => (id, id),
        None => accounts
            .user(user, None)
            .map(|entry| (entry.uid, entry.gid))
            .ok_or_else(|| UserError::UnknownUser(user.to_owned()))?,
    };
    let gid = group.map_or(Ok(own_gid), |group| accounts.group(group))?;
    Ok(Owner { uid, gid })
}

/// Resolves a group: its id.
///
/// # Errors
/// When a name has no entry, or an id is out of range.
pub fn resolve_group(spec: &str, accounts: Accounts<'_>) -> Result<u32, UserError> {
    accounts.group(spec)
}

/// User and group. An empty group is none.
fn split(spec: &str) -> Result<(&str, Option<&str>), UserError> {
    let (user, group) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec, None),
    };
    if group.is_some_and(|group| group.contains(':')) {
        return Err(UserError::Malformed(spec.to_owned()));
    }
    Ok((user, group))
}

/// The id that a text is, or nothing when it is a name.
fn id(text: &str) -> Result<Option<u32>, UserError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<i32>().ok().and_then(|id| u32::try_from(id).ok()) {
        Some(id) => Ok(Some(id)),
        None => Err(UserError::OutOfRange(text.to_owned())),
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: Accounts<'_> = Accounts {
        passwd: b"root:x:0:0:root:/root:/bin/sh\n\
                  # a comment\n\
                  broken line\n\
                  app:x:1000:1001:,,,:/home/app:/bin/sh\n\
                  42:x:7:8::/seven:\n",
        group: b"root:x:0:\napp:x:1001:\nwheel:x:10:root,app\naudio:x:63:app\n",
    };

    fn user(uid: u32, gid: u32, additional: &[u32], home: &str) -> User {
        User { uid, gid, additional_gids: additional.to_vec(), home: home.into() }
    }

    #[test]
    fn users_of_a_build() {
        let cases = [
            ("", user(0, 0, &[], "/root")),
            ("root", user(0, 0, &[10], "/root")),
            ("app", user(1000, 1001, &[10, 63], "/home/app")),
            ("app:wheel", user(1000, 10, &[], "/home/app")),
            ("app:5", user(1000, 5, &[], "/home/app")),
            ("app:", user(1000, 1001, &[10, 63], "/home/app")),
            ("1000", user(1000, 0, &[], "/home/app")),
            ("1000:audio", user(1000, 63, &[], "/home/app")),
            ("1234", user(1234, 0, &[], "/")),
            ("1234:5678", user(1234, 5678, &[], "/")),
        ];
        for (spec, expected) in cases {
            assert_eq!(resolve(spec, ACCOUNTS, Numeric::GroupZero), Ok(expected), "{spec:?}");
        }
    }

    #[test]
    fn users_of_a_run() {
        let cases = [
            ("", user(0, 0, &[10], "/root")),
            ("1000", user(1000, 1001, &[10, 63], "/home/app")),
            ("1000:0", user(1000, 0, &[], "/home/app")),
            ("1234", user(1234, 0, &[], "/")),
            // The first entry that is called so, or has the number.
            ("42", user(7, 8, &[], "/seven")),
        ];
        for (spec, expected) in cases {
            assert_eq!(resolve(spec, ACCOUNTS, Numeric::LookUp), Ok(expected), "{spec:?}");
        }
    }

    #[test]
    fn what_is_no_user() {
        use UserError::{Malformed, OutOfRange, UnknownGroup, UnknownUser};
        let cases = [
            ("nobody", UnknownUser("nobody".into())),
            ("nobody:0", UnknownUser("nobody".into())),
            ("app:none", UnknownGroup("none".into())),
            ("-1", OutOfRange("-1".into())),
            ("2147483648", OutOfRange("2147483648".into())),
            ("0:99999999999999999999", OutOfRange("99999999999999999999".into())),
            ("a:b:c", Malformed("a:b:c".into())),
        ];
        for (spec, expected) in cases {
            for numeric in [Numeric::GroupZero, Numeric::LookUp] {
                assert_eq!(resolve(spec, ACCOUNTS, numeric), Err(expected.clone()), "{spec:?}");
            }
        }
        let empty = Accounts::default();
        assert_eq!(resolve("", empty, Numeric::LookUp), Ok(user(0, 0, &[], "/")));
        assert!(resolve("root", empty, Numeric::LookUp).is_err());
    }

    #[test]
    fn owners() {
        let cases = [
            ("55", Ok(Owner { uid: 55, gid: 55 })),
            ("55:66", Ok(Owner { uid: 55, gid: 66 })),
            ("app", Ok(Owner { uid: 1000, gid: 1001 })),
            ("app:wheel", Ok(Owner { uid: 1000, gid: 10 })),
            ("55:audio", Ok(Owner { uid: 55, gid: 63 })),
            ("ghost", Err(UserError::UnknownUser("ghost".into()))),
            ("app:ghost", Err(UserError::UnknownGroup("ghost".into()))),
            ("", Err(UserError::Malformed(String::new()))),
            (":5", Err(UserError::Malformed(":5".into()))),
        ];
        for (spec, expected) in cases {
            assert_eq!(resolve_owner(spec, ACCOUNTS), expected, "{spec:?}");
        }
    }
}
