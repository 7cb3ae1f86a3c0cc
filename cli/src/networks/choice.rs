//! `--network`: which network a container is on.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The network of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum NetworkChoice {
    /// The machine's network.
    Host,
    /// A network of its own with nothing but loopback.
    None,
    /// That of another container.
    Container(String),
    /// One with others, by name.
    Named(String),
}

impl FromStr for NetworkChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<NetworkChoice, String> {
        match text.split_once(':') {
            Some(("container", name)) => Ok(NetworkChoice::Container(name.to_owned())),
            Some(_) => Err("write it as host, none, container:NAME or a network's name".into()),
            None => Ok(match text {
                "" => return Err("it is empty".into()),
                "host" => NetworkChoice::Host,
                "none" => NetworkChoice::None,
                "default" => NetworkChoice::Named(super::DEFAULT.into()),
                name => NetworkChoice::Named(name.to_owned()),
            }),
        }
    }
}

/// A container that another one knows by one more name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Its name or id.
    pub(crate) container: String,
    pub(crate) name: String,
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Link, String> {
        let (container, name) = text.split_once(':').unwrap_or((text, text));
        // It becomes a word of /etc/hosts.
        let is_word = |text: &str| !text.is_empty() && !text.contains([' ', '\t', '\n', ':']);
        match is_word(container) && is_word(name) {
            true => Ok(Link { container: container.to_owned(), name: name.to_owned() }),
            false => Err("a link is written as CONTAINER[:NAME]".into()),
        }
    }
}

impl TryFrom<String> for NetworkChoice {
    type Error = String;

    fn try_from(text: String) -> Result<NetworkChoice, String> {
        text.parse()
    }
}

impl From<NetworkChoice> for String {
    fn from(choice: NetworkChoice) -> String {
        match choice {
            NetworkChoice::Host => "host".into(),
            NetworkChoice::None => "none".into(),
            NetworkChoice::Container(name) => format!("container:{name}"),
            NetworkChoice::Named(name) => name,
        }
    }
}
