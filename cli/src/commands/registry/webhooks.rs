//! Webhooks: events of a served registry, posted to URLs in the form of docker's registry
//! (distribution, "Work with notifications").

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use registry_client::{Client, Config, FileRequest, Proxies, Retry};
use registry_server::{Event, EventAction, Events, Pattern};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::settings::text;
use crate::app::App;
use crate::error::Failure;

/// The media type of what is posted.
const EVENTS: &str = "application/vnd.docker.distribution.events.v2+json";
/// How many events wait for one URL; what comes on top is lost, and the log says so.
const MOST_WAITING: usize = 1000;
/// After how many seconds an event is posted again, each time: whoever is told may be starting
/// anew, and not be there at all.
const DELAYS: [u64; 6] = [1, 2, 4, 8, 16, 32];
/// How long the end of the server waits for what is still to be posted.
const PATIENCE: Duration = Duration::from_secs(5);

/// A webhook as the settings have it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Webhook {
    url: String,
    #[serde(default = "changes")]
    actions: Vec<Action>,
    #[serde(default = "super::settings::everywhere")]
    repositories: String,
    authorization: Option<PathBuf>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Push,
    Pull,
    Delete,
}

fn changes() -> Vec<Action> {
    vec![Action::Push, Action::Delete]
}

impl Action {
    fn of(action: EventAction) -> Action {
        match action {
            EventAction::Push => Action::Push,
            EventAction::Pull => Action::Pull,
            EventAction::Delete => Action::Delete,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Action::Push => "push",
            Action::Pull => "pull",
            Action::Delete => "delete",
        }
    }
}

/// All webhooks of a server, each with what waits for it.
pub(super) struct Webhooks(Vec<Hook>);

struct Hook {
    url: String,
    actions: Vec<Action>,
    repositories: Pattern,
    waiting: Sender<Value>,
}

/// Who posts what waits.
pub(super) struct Posting(Vec<JoinHandle<()>>);

impl Webhooks {
    /// Begins to post.
    pub(super) fn open(hooks: &[Webhook], app: &App) -> Result<(Arc<Webhooks>, Posting), Failure> {
        let runtime = app.network()?.handle().clone();
        let client = Client::new(Config {
            proxies: Proxies::from_variables(|name| app.machine.variable(name)),
            retry: Retry { times: 2, ..Retry::default() },
            ..Config::default()
        });
        let (mut all, mut posting) = (Vec::new(), Vec::new());
        for hook in hooks {
            if !["http://", "https://"].iter().any(|scheme| hook.url.starts_with(scheme)) {
                return Err(Failure::new(format!("`{}` is no URL to post to", hook.url)));
            }
            let authorization = match &hook.authorization {
                Some(path) => Some(text(path)?.trim().to_owned()),
                None => None,
            };
            let (waiting, events) = channel(MOST_WAITING);
            let post = Post { url: hook.url.clone(), authorization, client: client.clone() };
            posting.push(spawn(&runtime, post, events));
            all.push(Hook {
                url: hook.url.clone(),
                actions: hook.actions.clone(),
                repositories: Pattern::new(&hook.repositories),
                waiting,
            });
        }
        Ok((Arc::new(Webhooks(all)), Posting(posting)))
    }
}

impl Events for Webhooks {
    fn happened(&self, event: Event) {
        let action = Action::of(event.action);
        for hook in &self.0 {
            if hook.actions.contains(&action)
                && hook.repositories.matches(&event.repository)
                && hook.waiting.try_send(envelope(&event)).is_err()
            {
                tracing::warn!(url = hook.url, "too much waits for the webhook: an event is lost");
            }
        }
    }
}

impl Posting {
    /// Waits a while for what is still to be posted; nothing comes any more.
    pub(super) async fn end(self) {
        let all = async {
            for task in self.0 {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("the server ends before all events were posted");
        }
    }
}

struct Post {
    url: String,
    authorization: Option<String>,
    client: Client,
}

/// Posts events, one after the other: whoever hears of them may rely on their order.
fn spawn(runtime: &Handle, post: Post, mut events: Receiver<Value>) -> JoinHandle<()> {
    runtime.spawn(async move {
        let headers = [("Content-Type".to_owned(), EVENTS.to_owned())];
        while let Some(event) = events.recv().await {
            let mut delays = DELAYS.iter();
            loop {
                let request = FileRequest {
                    url: &post.url,
                    authorization: post.authorization.as_deref(),
                    headers: &headers,
                    body: Some(event.to_string().into_bytes()),
                };
                let Err(error) = post.client.download(request).await else { break };
                let error = crate::error::chain(&error);
                let Some(delay) = delays.next() else {
                    tracing::warn!(url = post.url, error, "event lost");
                    break;
                };
                tokio::time::sleep(Duration::from_secs(*delay)).await;
            }
        }
    })
}

/// An event in the envelope that docker's registry posts.
fn envelope(event: &Event) -> Value {
    let at = jiff::Timestamp::try_from(event.at).unwrap_or_default().to_string();
    let action = Action::of(event.action).as_str();
    let tags = match event.tags.is_empty() {
        true => vec![None],
        false => event.tags.iter().map(Some).collect(),
    };
    let events = tags.into_iter().map(|tag| {
        let seed = format!("{at} {action} {} {:?} {tag:?}", event.repository, event.digest);
        let mut target = json!({ "repository": event.repository });
        let fields = [
            ("mediaType", event.media_type.as_ref().map(|media_type| json!(media_type))),
            ("digest", event.digest.as_ref().map(|digest| json!(digest))),
            ("size", event.size.map(|size| json!(size))),
            ("length", event.size.map(|size| json!(size))),
            ("tag", tag.map(|tag| json!(tag))),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                target[name] = value;
            }
        }
        json!({
            "id": oci::Digest::sha256(seed.as_bytes()).hex(),
            "timestamp": at,
            "action": action,
            "target": target,
            "request": { "useragent": event.agent },
            "actor": { "name": event.user },
        })
    });
    json!({ "events": events.collect::<Vec<_>>() })
}
