//! Rules: who may do what in which repositories.

use std::ops::BitOr;

use crate::pattern::Pattern;

/// What can be done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actions(u8);

impl Actions {
    /// Nothing.
    pub const NONE: Actions = Actions(0);
    /// Read manifests, tags and blobs.
    pub const PULL: Actions = Actions(1);
    /// Write them.
    pub const PUSH: Actions = Actions(2);
    /// Delete them.
    pub const DELETE: Actions = Actions(4);
    /// Everything.
    pub const ALL: Actions = Actions(7);

    /// Whether all of `wanted` are among these.
    pub fn contain(self, wanted: Actions) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The action of a name as tokens have it; `None` if there is no such action.
    pub fn named(name: &str) -> Option<Actions> {
        match name {
            "pull" => Some(Actions::PULL),
            "push" => Some(Actions::PUSH),
            "delete" => Some(Actions::DELETE),
            "*" => Some(Actions::ALL),
            _ => None,
        }
    }
}

impl BitOr for Actions {
    type Output = Actions;

    fn bitor(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody, named or not.
    Anyone,
    /// Everybody who said a name and proved it.
    Users,
    /// One of these.
    Named(Vec<String>),
}

impl Who {
    pub(super) fn is(&self, user: Option<&str>) -> bool {
        match (self, user) {
            (Who::Anyone, _) | (Who::Users, Some(_)) => true,
            (Who::Named(names), Some(user)) => names.iter().any(|name| name == user),
            (Who::Users | Who::Named(_), None) => false,
        }
    }
}

/// Allows something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whom.
    pub who: Who,
    /// Where.
    pub repositories: Pattern,
    /// What.
    pub actions: Actions,
}
