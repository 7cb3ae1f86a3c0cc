//! Pulling through: what a mirrored repository lacks comes from its upstream, once however many
//! ask for it, and stays.

mod blobs;
mod documents;
mod flight;
mod lists;

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::Semaphore;

use self::documents::Tags;
use self::flight::Flights;
use self::lists::Lists;
use crate::name::Repository;
use crate::problem::{Code, Problem};
use crate::upstream::{Mirror, Unanswered};
use crate::{Error, Registry};

/// How many blobs come from upstreams at once.
const MOST_FLIGHTS: usize = 16;

/// What all pulls through the registry share.
pub(crate) struct Mirrors {
    flights: Flights,
    room: Arc<Semaphore>,
    tags: Tags,
    lists: Lists,
}

impl Default for Mirrors {
    fn default() -> Mirrors {
        Mirrors {
            flights: Flights::default(),
            room: Arc::new(Semaphore::new(MOST_FLIGHTS)),
            tags: Tags::default(),
            lists: Lists::default(),
        }
    }
}

/// The upstream of a repository, and what the repository is called there.
#[derive(Clone, Copy)]
struct Source<'a> {
    mirror: &'a Mirror,
    name: &'a str,
}

/// Why something does not come from an upstream.
#[derive(Debug, Clone)]
enum Missed {
    /// It is not there.
    Absent,
    Unanswered(Unanswered),
    /// Our own storage failed.
    Storage(Error),
}

impl From<Error> for Missed {
    fn from(error: Error) -> Missed {
        Missed::Storage(error)
    }
}

impl From<Unanswered> for Missed {
    fn from(unanswered: Unanswered) -> Missed {
        Missed::Unanswered(unanswered)
    }
}

impl Missed {
    fn failed(why: impl Into<String>) -> Missed {
        Missed::Unanswered(Unanswered::Failed(why.into()))
    }

    /// The answer to a client, `absent` if there is no such thing. The log learns more.
    fn problem(self, absent: impl FnOnce() -> Problem) -> Problem {
        match self {
            Missed::Absent => absent(),
            Missed::Storage(error) => error.into(),
            Missed::Unanswered(error) => {
                tracing::warn!(%error, "not pulled through");
                let (status, code, message) = match error {
                    Unanswered::Refused(_) => {
                        (StatusCode::FORBIDDEN, Code::Denied, "the upstream registry refuses it")
                    }
                    Unanswered::Failed(_) => {
                        (StatusCode::BAD_GATEWAY, Code::Unknown, "the upstream registry fails")
                    }
                };
                Problem::new(status, code, message)
            }
        }
    }
}

impl Registry {
    /// Where what a repository lacks comes from; `None` if it is not mirrored.
    fn source<'a>(&'a self, repository: &'a Repository) -> Option<Source<'a>> {
        let named = |mirror: &'a Mirror| {
            let name = match mirror.prefix.as_str() {
                "" => Some(repository.as_str()),
                prefix => repository.as_str().strip_prefix(prefix)?.strip_prefix('/'),
            };
            Some(Source { mirror, name: name? })
        };
        let sources = self.0.config.mirrors.iter().filter_map(named);
        sources.max_by_key(|source| source.mirror.prefix.len())
    }

    /// Whether a repository mirrors another.
    pub(crate) fn is_mirror(&self, repository: &Repository) -> bool {
        self.source(repository).is_some()
    }

    /// Refuses a push to a repository whose content is decided elsewhere.
    pub(crate) fn refuse_push_to_mirror(&self, repository: &Repository) -> Result<(), Problem> {
        if !self.is_mirror(repository) {
            return Ok(());
        }
        let message = format!("{repository} mirrors another registry: nothing can be pushed to it");
        Err(Problem::new(StatusCode::FORBIDDEN, Code::Denied, message))
    }
}
