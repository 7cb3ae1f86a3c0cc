//! Scopes of tokens: what may be done to what (distribution, "Token Scope").

use std::collections::BTreeSet;

/// What a call does to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Pull,
    Push,
    /// Docker's registry wants `delete` for it, and Quay knows no such word: ask for everything.
    Delete,
}

/// A set of scopes. Their order is kept: some services read the first one alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scopes(Vec<Scope>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    /// `repository:library/busybox`
    resource: String,
    actions: BTreeSet<String>,
}

impl Scopes {
    pub(crate) fn repository_access(repository: &str, access: Access) -> Scopes {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
            Access::Delete => "*",
        };
        Scopes::parse(&format!("repository:{repository}:{actions}"))
    }

    pub(crate) fn catalog() -> Scopes {
        Scopes::parse("registry:catalog:*")
    }

    /// Reads scopes separated by spaces; what is none is passed over.
    pub(crate) fn parse(text: &str) -> Scopes {
        let mut scopes = Scopes::default();
        for word in text.split_ascii_whitespace() {
            if let Some((resource, actions)) = word.rsplit_once(':') {
                let actions = actions.split(',').map(str::to_owned).collect();
                scopes.add(Scope { resource: resource.to_owned(), actions });
            }
        }
        scopes
    }

    fn add(&mut self, scope: Scope) {
        match self.0.iter_mut().find(|known| known.resource == scope.resource) {
            Some(known) => known.actions.extend(scope.actions),
            None => self.0.push(scope),
        }
    }

    /// These and others.
    #[must_use]
    pub(crate) fn and(mut self, others: &Scopes) -> Scopes {
        for scope in &others.0 {
            self.add(scope.clone());
        }
        self
    }

    /// Puts others in front.
    pub(crate) fn prepend(&mut self, others: &Scopes) {
        *self = others.clone().and(self);
    }

    /// Whether a token with these scopes serves where `others` are needed.
    pub(crate) fn covers(&self, others: &Scopes) -> bool {
        others.0.iter().all(|wanted| {
            self.0.iter().any(|have| {
                have.resource == wanted.resource
                    && (have.actions.contains("*") || wanted.actions.is_subset(&have.actions))
            })
        })
    }

    /// The first repository named.
    pub(crate) fn repository(&self) -> Option<&str> {
        self.0.iter().find_map(|scope| scope.resource.strip_prefix("repository:"))
    }

    /// The scopes as a token service reads them.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|scope| {
            let actions: Vec<&str> = scope.actions.iter().map(String::as_str).collect();
            format!("{}:{}", scope.resource, actions.join(","))
        })
    }
}

/// Equal is what allows the same, whatever the order.
impl PartialEq for Scopes {
    fn eq(&self, other: &Scopes) -> bool {
        self.covers(other) && other.covers(self)
    }
}

impl Eq for Scopes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_token_serves_a_narrower_call() {
        let push = Scopes::repository_access("a/b", Access::Push);
        let pull = Scopes::repository_access("a/b", Access::Pull);
        let other = Scopes::repository_access("c", Access::Pull);
        let all = Scopes::repository_access("a/b", Access::Delete);
        assert!(push.covers(&pull) && !pull.covers(&push));
        assert!(all.covers(&push) && !push.covers(&all));
        assert!(!push.covers(&other));
        let both = push.clone().and(&other);
        assert!(both.covers(&push) && both.covers(&other));
        assert_eq!(
            both.words().collect::<Vec<_>>(),
            ["repository:a/b:pull,push", "repository:c:pull"]
        );
        assert!(pull.covers(&Scopes::default()));
    }

    #[test]
    fn scopes_are_read_from_challenges() {
        let scopes = Scopes::parse("repository(plugin):x:5/y:pull,push junk registry:catalog:*");
        let words: Vec<_> = scopes.words().collect();
        assert_eq!(words, ["repository(plugin):x:5/y:pull,push", "registry:catalog:*"]);
        assert_eq!(scopes.repository(), None);
    }
}
