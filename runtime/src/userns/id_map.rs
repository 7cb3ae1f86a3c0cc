//! Maps of ids, and the ranges that users may map: subuid(5), subgid(5).

use std::fmt;

/// Consecutive ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    inside: u32,
    outside: u32,
    count: u32,
}

/// Which id inside a user namespace is which one outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdMap(Vec<Extent>);

/// How many ids a map of the kernel's has: the text of `/proc/PID/uid_map`.
pub(super) fn count(map: &str) -> u64 {
    let counts = map.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)?.parse().ok());
    counts.fold(0, u64::saturating_add)
}

/// As many lines as the kernel takes (user_namespaces(7)).
const MOST_EXTENTS: usize = 340;

impl IdMap {
    /// Only this id, as 0.
    pub(super) fn single(id: u32) -> Self {
        Self(vec![Extent { inside: 0, outside: id, count: 1 }])
    }

    /// This id as 0, and the user's subordinate ids from 1 on. Nothing when there are none.
    ///
    /// A line is `NAME:FIRST:COUNT`, where the name may be the number of the user; lines that
    /// are anything else are passed over.
    pub(super) fn subordinate(id: u32, name: Option<&str>, uid: u32, file: &str) -> Option<Self> {
        let uid = uid.to_string();
        let mut map = Self::single(id);
        let mut next = 1;
        for line in file.lines() {
            let mut fields = line.trim().split(':');
            let owner = fields.next().unwrap_or_default();
            let (first, count) = (fields.next(), fields.next());
            if (Some(owner) != name && owner != uid) || map.0.len() == MOST_EXTENTS {
                continue;
            }
            let (Some(outside), Some(count)) = (parse(first), parse(count)) else { continue };
            let fits = |from: u32| count > 0 && from.checked_add(count - 1).is_some();
            // The user's own id cannot be mapped twice.
            let own = (outside..outside.saturating_add(count)).contains(&id);
            if fits(outside) && fits(next) && !own {
                map.0.push(Extent { inside: next, outside, count });
                next = next.saturating_add(count);
            }
        }
        (map.0.len() > 1).then_some(map)
    }

    /// Each id that exists in this namespace, as itself. From the text of `/proc/self/uid_map`.
    pub(super) fn identity(own: &str) -> Option<Self> {
        let extents: Vec<Extent> = own
            .lines()
            .take(MOST_EXTENTS)
            .filter_map(|line| {
                let mut fields = line.split_ascii_whitespace();
                let inside = parse(fields.next())?;
                let count = parse(fields.nth(1))?;
                Some(Extent { inside, outside: inside, count })
            })
            .collect();
        (!extents.is_empty()).then_some(Self(extents))
    }

    /// How many ids there are inside.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|extent| u64::from(extent.count)).sum()
    }

    /// The numbers, line after line: the arguments of newuidmap(1).
    pub(super) fn arguments(&self) -> impl Iterator<Item = String> + '_ {
        self.0
            .iter()
            .flat_map(|extent| [extent.inside, extent.outside, extent.count])
            .map(|number| number.to_string())
    }
}

fn parse(field: Option<&str>) -> Option<u32> {
    field?.trim().parse().ok()
}

/// As `/proc/PID/uid_map` takes it.
impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Extent { inside, outside, count } in &self.0 {
            writeln!(f, "{inside} {outside} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_follow_the_own_one() {
        let file = "other:1:2\n\
                    me:100000:65536\n\
                    # comment\n\
                    me:bad:1\n\
                    me:5:0\n\
                    me:4294967295:2\n\
                    me:999:10\n\
                    1000:300000:5\n";
        let map = IdMap::subordinate(1000, Some("me"), 1000, file).unwrap();
        assert_eq!(map.to_string(), "0 1000 1\n1 100000 65536\n65537 300000 5\n");
        assert_eq!(map.count(), 65542);
        assert_eq!(map.arguments().take(4).collect::<Vec<_>>(), ["0", "1000", "1", "1"]);
    }

    #[test]
    fn no_line_is_no_map() {
        assert_eq!(IdMap::subordinate(1000, None, 1000, "me:1:1\n"), None);
        assert_eq!(IdMap::subordinate(1000, Some("me"), 1000, ""), None);
    }

    #[test]
    fn the_whole_namespace_as_it_is() {
        let map = IdMap::identity("         0       1000          1\n  1 100000 65536\n").unwrap();
        assert_eq!(map.to_string(), "0 0 1\n1 1 65536\n");
        assert_eq!(IdMap::identity(""), None);
    }
}
